//! What a Docker runtime is made from, and the endpoint in it.

use super::tls;
use crate::port::{Error, Result};
use eru_types::name::excerpt;
use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

/// How long a daemon may take to answer a question. One that is busy with hundreds of starts needs some seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long a daemon may say nothing while it fetches an image. It tells of each piece; long is only the check of a layer of
/// many gigabytes. Below core's own patience with an engine, so that it is said what was waited for.
const SILENT_PULL: Duration = Duration::from_secs(240);
/// Longest path of a Unix socket, in bytes: the kernel's, less its final zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// How to reach a daemon, and what to do where a request is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    /// `unix:///path` or `tcp://host:port`.
    pub endpoint: String,
    /// Certificates for a `tcp://` endpoint; `None` = no TLS.
    pub tls: Option<TlsMaterial>,
    /// The network of a workload that names none: `host`, `bridge`, `none` or a network of the daemon.
    pub network_mode: String,
    /// The address that workloads on the network `host` are shown with. `None` = for `unix://` the first address of this
    /// machine that has a route, for `tcp://` the endpoint's.
    pub host_address: Option<IpAddr>,
    /// How long the daemon may take to answer a question; what changes something gets a multiple of it.
    pub answer_within: Duration,
    /// How long the daemon may say nothing in the middle of fetching an image.
    pub silent_pull_max: Duration,
}

impl DockerOptions {
    /// The daemon at `endpoint`, without TLS, its workloads on the network of the machine.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            tls: None,
            network_mode: "host".into(),
            host_address: None,
            answer_within: ANSWER_WITHIN,
            silent_pull_max: SILENT_PULL,
        }
    }
}

/// Certificates as PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsMaterial {
    /// The authority that signed the daemon's certificate; nothing else is trusted.
    pub ca: String,
    /// Our certificate, and those between it and the daemon's authority.
    pub cert: String,
    /// Its key. Never printed.
    pub key: String,
}

impl fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsMaterial").field("ca", &"***").field("cert", &"***").field("key", &"***").finish()
    }
}

/// An endpoint that was understood.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A host, perhaps with TLS.
    Tcp { host: String, port: u16, tls: Option<Arc<rustls::ClientConfig>> },
}

impl Endpoint {
    /// Reads the endpoint and the certificates of `options`. No IO.
    pub(super) fn new(options: &DockerOptions) -> Result<Self> {
        let text = options.endpoint.as_str();
        let bad = |why: &str| {
            let quoted = excerpt(text);
            Err(Error::Invalid(format!(
                "docker endpoint must be unix:///PATH or tcp://HOST:PORT{why}, got \"{quoted}\""
            )))
        };
        if let Some(path) = text.strip_prefix("unix://") {
            return match () {
                () if !path.starts_with('/') || path.contains('\0') => bad(""),
                () if path.len() > SOCKET_PATH_BYTES_MAX => {
                    bad(&format!(" with a path of at most {SOCKET_PATH_BYTES_MAX} bytes"))
                }
                () if options.tls.is_some() => bad("; certificates belong to tcp://"),
                () => Ok(Self::Unix(path.into())),
            };
        }
        let Some(authority) = text.strip_prefix("tcp://") else { return bad("") };
        let Some((host, port)) = authority.trim_end_matches('/').rsplit_once(':') else { return bad("") };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let named = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) && !host.is_empty();
        let port = match port.parse() {
            Ok(port) if port > 0 && (named || host.parse::<IpAddr>().is_ok()) => port,
            _ => return bad(""),
        };
        let tls = match &options.tls {
            None => None,
            Some(material) => {
                rustls::pki_types::ServerName::try_from(host).map_err(|_| {
                    Error::Invalid(format!("docker endpoint: no certificate can name \"{}\"", excerpt(host)))
                })?;
                Some(Arc::new(tls::client_config(material)?))
            }
        };
        Ok(Self::Tcp { host: host.to_owned(), port, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_or_refused_by_name() {
        for good in ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375", "tcp://[::1]:2375", "tcp://node-1.lan:2376"]
        {
            assert!(Endpoint::new(&DockerOptions::new(good)).is_ok(), "{good}");
        }
        let long = format!("unix:///{}", "x".repeat(SOCKET_PATH_BYTES_MAX));
        for bad in [
            "",
            "unix://",
            "unix://var/x",
            "tcp://",
            "tcp://host",
            "tcp://host:0",
            "tcp://host:x",
            "tcp://:1",
            "tcp://a b:1",
            "tcp://u@h:1",
            "http://h:1",
            "tcp://h:99999",
            "/var/run/docker.sock",
            "tcp://::1:",
            &long,
        ] {
            let error = Endpoint::new(&DockerOptions::new(bad)).unwrap_err();
            assert!(
                matches!(&error, Error::Invalid(text) if text.contains("docker endpoint must be")),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn material_is_never_printed_and_bad_material_is_named() {
        let material = TlsMaterial { ca: "secret-ca".into(), cert: "secret-cert".into(), key: "secret-key".into() };
        let options = DockerOptions { tls: Some(material), ..DockerOptions::new("tcp://h:1") };
        assert!(!format!("{options:?}").contains("secret"));
        let error = Endpoint::new(&options).unwrap_err().to_string();
        assert!(error.contains("ca") && !error.contains("secret"), "{error}");
        let on_a_socket = DockerOptions { endpoint: "unix:///x".into(), ..options };
        assert!(Endpoint::new(&on_a_socket).unwrap_err().to_string().contains("tcp://"));
    }
}
