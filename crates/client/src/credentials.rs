//! The login that goes with every call: one metadata entry, named like the user, holding the password.

use eru_types::name::excerpt;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataKey, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// What generated clients of this crate run over.
pub type Transport = InterceptedService<Channel, Credentials>;

/// Why a login was refused before it was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// gRPC carries the user name as a metadata key.
    #[error("username must be lower-case letters, digits, '_', '-' or '.', got \"{}\"", excerpt(.0))]
    Username(String),
    /// And the password as its value.
    #[error("password must be printable ASCII")]
    Password,
}

/// Adds the login to each request.
#[derive(Clone)]
pub struct Credentials(Option<(MetadataKey<Ascii>, MetadataValue<Ascii>)>);

impl Credentials {
    /// The login of `username`; empty = none.
    pub(crate) fn new(username: &str, password: &str) -> Result<Self, CredentialsError> {
        if username.is_empty() {
            return Ok(Self(None));
        }
        // The type folds upper case; a user who was spelt otherwise would never be found by the server.
        let folded = username.bytes().any(|b| b.is_ascii_uppercase());
        let key = MetadataKey::from_bytes(username.as_bytes()).ok().filter(|_| !folded && !username.ends_with("-bin"));
        let key = key.ok_or_else(|| CredentialsError::Username(username.to_owned()))?;
        let mut value = MetadataValue::try_from(password).map_err(|_| CredentialsError::Password)?;
        value.set_sensitive(true);
        Ok(Self(Some((key, value))))
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some((key, value)) = &self.0 {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_that_cannot_be_sent_are_refused() {
        assert!(Credentials::new("", "x").is_ok());
        assert!(Credentials::new("eru-1.user", "pass word").is_ok());
        for bad in ["Eru", "a b", "名", "a\n", "a-bin"] {
            assert!(Credentials::new(bad, "x").is_err(), "{bad:?}");
        }
        assert!(Credentials::new("a", "x\n").is_err());
    }
}
