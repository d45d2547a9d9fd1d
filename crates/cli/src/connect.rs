//! Connections to core and to the controller.

use crate::error::CliError;
use eru_api::{controller::controller_client::ControllerClient, pb::core_rpc_client::CoreRpcClient};
use eru_types::name::excerpt;
use std::error::Error as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::str::FromStr;
use std::time::Duration;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a quiet connection is probed, and how long the answer may take: a dead peer is noticed in both together.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long the peer may take to show what it is, when a call failed.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// Largest reply, in bytes: a hundred thousand workloads in one list.
const REPLY_BYTES_MAX: usize = 256 << 20;
/// What an HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// Core's public API.
pub(crate) type Core = CoreRpcClient<InterceptedService<Channel, Login>>;
/// The controller's API.
pub(crate) type Controller = ControllerClient<InterceptedService<Channel, Login>>;

/// `host:port` of core or of the controller, checked. The original's schemes `eru://` and `static://` are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// The address as `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("eru://").or(text.strip_prefix("static://")).unwrap_or(text);
        let got = excerpt(text);
        if let Some((scheme, _)) = bare.split_once("://") {
            return Err(format!("unknown scheme \"{}\", expected host:port, got \"{got}\"", excerpt(scheme)));
        }
        let (host, port) = match bare.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(|| format!("missing \"]\", got \"{got}\""))?;
                let good = host.parse::<std::net::Ipv6Addr>().is_ok();
                (if good { host } else { "" }, rest.strip_prefix(':'))
            }
            None => match bare.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return Err(format!("an IPv6 address needs brackets, as [::1]:5001, got \"{got}\""));
                }
                Some((host, port)) => (host, Some(port)),
                None => (bare, None),
            },
        };
        let port = port.ok_or_else(|| format!("missing port, expected host:port, got \"{got}\""))?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        if host.is_empty() || !host.chars().all(plain) {
            return Err(format!("missing or malformed host, expected host:port, got \"{got}\""));
        }
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        if !digits || !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(format!("port must be 1-65535, got \"{got}\""));
        }
        Ok(Self(bare.to_owned()))
    }
}

/// A channel to `address`; it connects with the first call.
///
/// # Errors
/// [`CliError::Usage`] when the address is not one.
pub fn connect(address: &Address) -> Result<Channel, CliError> {
    let endpoint = Endpoint::from_shared(format!("http://{}", address.0))
        .map_err(|error| CliError::Usage(format!("core address: {error}, got \"{}\"", address.0)))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .tcp_nodelay(true);
    Ok(endpoint.connect_lazy())
}

/// Gives name and password with every call, as the original does: the name is the key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Login(Option<(MetadataKey<tonic::metadata::Ascii>, MetadataValue<tonic::metadata::Ascii>)>);

impl Login {
    pub fn new(username: &str, password: &str) -> Result<Self, CliError> {
        if username.is_empty() {
            return Ok(Self(None));
        }
        let key = MetadataKey::from_bytes(username.to_ascii_lowercase().as_bytes());
        let key = key.map_err(|_| CliError::Usage(format!("--username: not a name, got \"{}\"", excerpt(username))))?;
        let value = password.parse();
        let value = value.map_err(|_| CliError::Usage("--password: must be printable ASCII".into()))?;
        Ok(Self(Some((key, value))))
    }
}

impl Interceptor for Login {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some((key, value)) = &self.0 {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        Ok(request)
    }
}

pub(crate) fn core(address: &Address, login: Login) -> Result<Core, CliError> {
    let channel = InterceptedService::new(connect(address)?, login);
    Ok(CoreRpcClient::new(channel).max_decoding_message_size(REPLY_BYTES_MAX))
}

pub(crate) fn controller(address: &Address, login: Login) -> Result<Controller, CliError> {
    let channel = InterceptedService::new(connect(address)?, login);
    Ok(ControllerClient::new(channel).max_decoding_message_size(REPLY_BYTES_MAX))
}

/// The error of a failed call: core's own words, or why nobody of ours answers at `address`.
pub(crate) fn failure(what: &'static str, address: &Address, status: Status) -> CliError {
    // A status that core sent has no source; one that the transport made up has.
    let made_up =
        status.source().is_some() && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal);
    if !made_up {
        return status.into();
    }
    let reason = probe(address).unwrap_or_else(|| root_cause(&status));
    CliError::Unreachable { what, address: address.0.clone(), reason }
}

fn root_cause(status: &Status) -> String {
    let mut cause = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        cause = error.to_string();
        source = error.source();
    }
    cause
}

/// Finds out what stands at `address` when a call failed. Nothing when it looks like a server of ours.
fn probe(address: &Address) -> Option<String> {
    let address = match address.0.to_socket_addrs().map(|mut list| list.next()) {
        Ok(Some(address)) => address,
        Ok(None) => return Some("no such host".into()),
        Err(_) => return Some("no such host".into()),
    };
    let mut stream = match TcpStream::connect_timeout(&address, PROBE_TIMEOUT) {
        Ok(stream) => stream,
        Err(error) => return Some(connect_reason(&error)),
    };
    stream.set_read_timeout(Some(PROBE_TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT)).ok()?;
    stream.write_all(PREFACE).ok()?;
    let mut answer = [0; 9];
    match stream.read(&mut answer) {
        // A TLS alert or a TLS record of any other kind.
        Ok(n) if n >= 2 && matches!(answer[0], 0x14..=0x17) && answer[1] == 3 => Some("peer expects TLS".into()),
        // The first frame of an HTTP/2 server is SETTINGS.
        Ok(9) if answer[3] == 4 => None,
        _ => Some("the peer does not speak gRPC".into()),
    }
}

fn connect_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        std::io::ErrorKind::TimedOut => "no answer".into(),
        std::io::ErrorKind::HostUnreachable => "host unreachable".into(),
        std::io::ErrorKind::NetworkUnreachable => "network unreachable".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for ok in ["127.0.0.1:5001", "eru://host:1", "static://h.example.org:65535", "[::1]:5001", "localhost:5001"] {
            assert!(ok.parse::<Address>().is_ok(), "{ok}");
        }
        for (bad, error) in [
            ("127.0.0.1", "missing port, expected host:port, got \"127.0.0.1\""),
            (":5001", "missing or malformed host, expected host:port, got \":5001\""),
            ("http://h:5001", "unknown scheme \"http\", expected host:port, got \"http://h:5001\""),
            ("h:99999", "port must be 1-65535, got \"h:99999\""),
            ("h:0", "port must be 1-65535, got \"h:0\""),
            ("h:+1", "port must be 1-65535, got \"h:+1\""),
            ("[::1", "missing \"]\", got \"[::1\""),
            ("[x]:1", "missing or malformed host, expected host:port, got \"[x]:1\""),
            ("::1", "an IPv6 address needs brackets, as [::1]:5001, got \"::1\""),
            ("", "missing port, expected host:port, got \"\""),
            ("h/x:1", "missing or malformed host, expected host:port, got \"h/x:1\""),
        ] {
            assert_eq!(bad.parse::<Address>().unwrap_err(), error);
        }
    }
}
