//! References to images, checked before they reach an engine.

use super::{Error, Result};
use eru_types::name::excerpt;

/// Longest reference, in bytes: a registry's names end at 255, a tag at 128, a digest at about 140.
const IMAGE_BYTES_MAX: usize = 512;
const TAG_LEN_MAX: usize = 128;
const DIGEST_LEN_MIN: usize = 32;

/// Checks `[host[:port]/]path[:tag][@algorithm:hex]`.
///
/// # Errors
/// [`Error::Invalid`] that quotes the reference.
pub(crate) fn check(image: &str) -> Result<()> {
    if image.len() <= IMAGE_BYTES_MAX && is_reference(image) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "image: \"{}\" is not an image reference; wanted is [HOST/]NAME[:TAG][@DIGEST] with a lower-case name, at most \
         {IMAGE_BYTES_MAX} bytes",
        excerpt(image)
    )))
}

/// What the registry of images without a host in their names is called, by Docker and by its own configuration file.
const REGISTRY: [&str; 3] = ["docker.io", "index.docker.io", "https://index.docker.io/v1/"];

/// The names of the registry that an image comes from, as logins may be filed under.
pub(crate) fn registry_names(image: &str) -> impl Iterator<Item = &str> {
    let host = image.split_once('/').map(|(host, _)| host).filter(|host| is_registry(host));
    let named = host.filter(|host| !REGISTRY.contains(host));
    named.into_iter().chain(REGISTRY.into_iter().filter(move |_| named.is_none()))
}

/// Whether the first part of a name is a host, and not a part of the path.
fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn is_reference(image: &str) -> bool {
    let (named, digest) = image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
    let (path, tag) = match named.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (named, None),
    };
    let (host, names) = match path.split_once('/') {
        Some((first, rest)) if is_registry(first) => (Some(first), rest),
        _ => (None, path),
    };
    host.is_none_or(is_host)
        && names.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(plain)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_component(name: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(alphanumeric)
        && name.ends_with(alphanumeric)
        && name.chars().all(|c| alphanumeric(c) || matches!(c, '.' | '_' | '-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=TAG_LEN_MAX).contains(&tag.len())
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        is_component(algorithm) && hex.len() >= DIGEST_LEN_MIN && hex.chars().all(|c| c.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries() {
        for (image, want) in [
            ("nginx", "docker.io"),
            ("projecteru2/agent:1", "docker.io"),
            ("index.docker.io/library/nginx", "docker.io"),
            ("localhost/a/b", "localhost"),
            ("127.0.0.1:5000/web:1", "127.0.0.1:5000"),
            ("registry.example.org/team/app", "registry.example.org"),
        ] {
            assert_eq!(registry_names(image).next(), Some(want));
        }
    }

    #[test]
    fn references() {
        let digest = format!("app@sha256:{}", "0f".repeat(32));
        for ok in [
            "nginx",
            "nginx:1.27-alpine",
            "projecteru2/agent",
            "localhost/a/b:x",
            "Registry.example.org:5000/team/app:v1",
            &digest,
        ] {
            assert!(check(ok).is_ok(), "{ok}");
        }
        let long = "a".repeat(5000);
        for bad in
            ["", "A/B", "x:", "img@sha256:zz", "-v", "a b", "a//b", "/a", "a/", "a:b:c", "a\n", "a@", "名", &long]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check("A/B").unwrap_err().to_string().starts_with("image: \"A/B\" is not an image reference"));
    }
}
