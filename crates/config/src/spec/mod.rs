//! The app spec, from text to [`AppSpec`].
//!
//! The spec of the original's pages with one more section, `replicaset`, that says how much of the app is wanted:
//!
//! ```yaml
//! appname: web
//! entrypoints:
//!   http:
//!     cmd: eru-hello
//!     publish: [8080]
//!     healthcheck: {http_port: 8080, url: /}
//! replicaset:
//!   count: 3
//!   pod: local
//!   strategy: {min_healthy: 2s}
//! ```

mod app;
mod entrypoint;
mod replicaset;
mod volume;

pub use volume::volume;

use crate::layer::Loaded;
use crate::problem::{InputError, Report};
use crate::read::Section;
use crate::yaml;
use eru_types::spec::AppSpec;

/// Reads a spec.
///
/// # Errors
/// [`InputError`] with everything that is wrong with it, with line and column.
pub fn parse(name: &str, text: &str) -> Result<Loaded<AppSpec>, InputError> {
    let root = yaml::parse(name, text)?;
    let report = Report::default();
    if root.value == yaml::Value::Null {
        let message = "expected a mapping, got nothing";
        report.error(&root.origin, "", message);
    }
    let spec = match Section::root(&root, &report) {
        Some(mut section) if !report.has_errors() => {
            let spec = app::read(&mut section);
            section.end();
            spec
        }
        _ => None,
    };
    let warnings = report.finish()?;
    Ok(Loaded { config: spec.expect("a spec that is not there leaves an error"), warnings })
}
