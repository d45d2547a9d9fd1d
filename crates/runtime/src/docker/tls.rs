//! TLS to a daemon: its certificate is verified against the given authority, and ours is shown.

use super::options::TlsMaterial;
use crate::port::{Error, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{fmt::Display, sync::Arc};

/// Largest PEM text, in bytes: a chain of certificates needs some ten thousand.
const PEM_BYTES_MAX: usize = 256 * 1024;

/// The client's side of TLS with this material. Nothing but its authority is trusted.
pub(super) fn client_config(material: &TlsMaterial) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca", &material.ca)? {
        roots.add(certificate).map_err(|e| bad("ca", e))?;
    }
    let chain = certificates("cert", &material.cert)?;
    within_bounds("key", &material.key)?;
    let key = PrivateKeyDer::from_pem_slice(material.key.as_bytes()).map_err(|e| bad("key", e))?;
    // The provider is given by hand: two of them may be linked, and then there is no default.
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| bad("ca", e))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|e| bad("cert and key", e))
}

fn certificates(what: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    within_bounds(what, pem)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found.map_err(|e| bad(what, e))? {
        none if none.is_empty() => Err(bad(what, "no PEM certificate in it")),
        some => Ok(some),
    }
}

fn within_bounds(what: &str, pem: &str) -> Result<()> {
    if pem.len() > PEM_BYTES_MAX {
        return Err(bad(what, format!("must be at most {PEM_BYTES_MAX} bytes, got {}", pem.len())));
    }
    Ok(())
}

/// The material itself is not quoted: it may be the key.
fn bad(what: &str, cause: impl Display) -> Error {
    Error::Invalid(format!("docker certificates: {what}: {cause}"))
}
