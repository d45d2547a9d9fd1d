//! Whether a call may come in.

use crate::options::Auth;
use http::HeaderMap;
use tonic::Status;

/// Checks the metadata of a call. The texts are the original's, its spelling included, because clients match them.
///
/// # Errors
/// UNAUTHENTICATED.
pub(super) fn check(auth: &Auth, headers: &HeaderMap) -> Result<(), Status> {
    let refuse = |text: &str| Err(Status::unauthenticated(text));
    if headers.is_empty() {
        return refuse("bad meta");
    }
    // Metadata keys travel in lower case; a name that is no header name at all can never match.
    match headers.get(auth.username.to_ascii_lowercase()) {
        None => refuse("invaild username"),
        Some(given) if equal(given.as_bytes(), auth.password.reveal().as_bytes()) => Ok(()),
        Some(_) => refuse("invaild password"),
    }
}

/// Compares in a time that depends on the lengths only, so that a password cannot be guessed byte by byte.
fn equal(given: &[u8], wanted: &[u8]) -> bool {
    let mut difference = given.len() ^ wanted.len();
    for (i, byte) in given.iter().enumerate() {
        // Past its end the wanted value is compared with itself, which costs the same and proves nothing.
        let other = wanted.get(i % wanted.len().max(1)).copied().unwrap_or(0);
        difference |= usize::from(byte ^ other);
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_config::Secret;

    #[test]
    fn only_the_right_pair_comes_in() {
        let auth = Auth { username: "Admin".into(), password: Secret::new("pass word") };
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(k, v)| (http::HeaderName::from_static(k), v.parse().unwrap())).collect()
        };
        let text = |pairs: &[(&'static str, &'static str)]| {
            check(&auth, &headers(pairs)).err().map(|s| s.message().to_owned())
        };
        assert_eq!(text(&[("admin", "pass word")]), None);
        assert_eq!(text(&[]).as_deref(), Some("bad meta"));
        assert_eq!(text(&[("te", "trailers")]).as_deref(), Some("invaild username"));
        for wrong in ["", "p", "pass worD", "pass word ", "pass wordpass word", "x"] {
            assert_eq!(text(&[("admin", wrong)]).as_deref(), Some("invaild password"), "{wrong:?}");
        }
        let empty = Auth { username: "a".into(), password: Secret::new("") };
        assert!(check(&empty, &headers(&[("a", "x")])).is_err());
        assert!(check(&empty, &headers(&[("a", "")])).is_ok());
    }
}
