//! The images that the tests run: of the very binary under test, under a tag of its own.

use crate::{Made, Order, busybox, products};
use anyhow::{Context, Result};
use std::path::Path;

/// Where Debian's package puts the static busybox.
const BUSYBOX: &str = "/bin/busybox";

/// References of the images of one binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestImages {
    /// `projecteru2/core`.
    pub core: String,
    /// `projecteru2/agent`.
    pub agent: String,
    /// `projecteru2/cli`.
    pub cli: String,
    /// `eru-hello`.
    pub hello: String,
    /// A shell and a few tools.
    pub busybox: String,
}

impl TestImages {
    /// Builds what is not there yet, in the engine at `host` (as `DOCKER_HOST` has it; `None` = the environment's).
    ///
    /// # Errors
    /// When the engine cannot be asked or refuses.
    pub fn ensure(binary: &Path, host: Option<&str>) -> Result<Self> {
        let tag = tag(binary, host);
        let made = products(Order { binary, tags: &[&tag], host })?;
        let record = binary.with_file_name("busybox");
        let busybox = busybox(Order { binary: Path::new(BUSYBOX), tags: &[&tag], host }, &record)?.reference;
        let [core, agent, cli, hello]: [Made; 4] = made.try_into().ok().context("four images are ordered")?;
        let (core, agent, cli, hello) = (core.reference, agent.reference, cli.reference, hello.reference);
        Ok(Self { core, agent, cli, hello, busybox })
    }
}

/// One tag for one place of a binary and one engine: checkouts beside each other do not take each other's images, and a
/// new build replaces the former.
fn tag(binary: &Path, host: Option<&str>) -> String {
    let place = format!("{}\n{}", binary.display(), host.unwrap_or_default());
    format!("test-{:08x}", crate::state::fnv1a(&place) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_place_or_engine_is_another_tag() {
        let here = tag(Path::new("/a/eru"), None);
        assert!(here.starts_with("test-") && here.len() == 13, "{here}");
        assert_eq!(here, tag(Path::new("/a/eru"), None));
        assert_ne!(here, tag(Path::new("/b/eru"), None));
        assert_ne!(here, tag(Path::new("/a/eru"), Some("unix:///x")));
    }
}
