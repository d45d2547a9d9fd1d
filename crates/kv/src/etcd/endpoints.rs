//! The members of the cluster, and which of them is asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::error::{Refusal, is_unreachable, refusal, was_not_sent};
use crate::port::{Error, Result};

/// An open connection is asked for life this often, and lost if it does not answer within the same time: a peer that is
/// half open is noticed after 4 s.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

struct Member {
    uri: String,
    channel: Channel,
}

pub(super) struct Endpoints {
    members: Vec<Member>,
    live: AtomicUsize,
    pub(super) request_timeout: Duration,
}

/// What may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

impl Endpoints {
    /// Connects to none of them yet.
    pub(super) fn new(uris: &[String], connect_timeout: Duration, request_timeout: Duration) -> Result<Self> {
        if uris.is_empty() {
            return Err(Error::Invalid("at least one etcd endpoint is needed".into()));
        }
        let members = uris.iter().map(|uri| member(uri, connect_timeout)).collect::<Result<_>>()?;
        Ok(Self { members, live: AtomicUsize::new(0), request_timeout })
    }

    /// All members, the one in use first, each with its number and address.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (usize, &str, Channel)> {
        let first = self.live.load(Ordering::Relaxed);
        (0..self.members.len()).map(move |step| {
            let index = (first + step) % self.members.len();
            let member = &self.members[index];
            (index, member.uri.as_str(), member.channel.clone())
        })
    }

    pub(super) fn use_member(&self, index: usize) {
        self.live.store(index, Ordering::Relaxed);
    }

    /// Asks one member after another, each at most once; a single one twice, because its connection may just have died.
    pub(super) async fn call<T, F, Fut>(&self, kind: Kind, ask: F) -> Result<T, Refusal>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = Result<T, Status>>,
    {
        let attempts = self.members.len().max(2);
        let mut last = None;
        for (index, uri, channel) in self.in_order().chain(self.in_order()).take(attempts) {
            let status = match tokio::time::timeout(self.request_timeout, ask(channel)).await {
                Ok(Ok(reply)) => {
                    self.use_member(index);
                    return Ok(reply);
                }
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded(format!("no answer within {:?}", self.request_timeout)),
            };
            let again = is_unreachable(&status) && (kind == Kind::Read || was_not_sent(&status));
            last = Some(refusal(&status, uri, kind == Kind::Write));
            if !again {
                break;
            }
        }
        Err(last.expect("there is at least one member, so it was asked"))
    }
}

fn member(text: &str, connect_timeout: Duration) -> Result<Member> {
    let invalid = |why: &str| Error::Invalid(format!("etcd endpoint \"{}\" {why}", text.escape_debug()));
    let uri = match text.split_once("://") {
        None => format!("http://{text}"),
        Some(("http", _)) => text.to_string(),
        Some(("https", _)) => return Err(invalid("wants TLS, which is not supported yet; use http://host:port")),
        Some(_) => return Err(invalid("must be host:port or http://host:port")),
    };
    let endpoint = Endpoint::from_shared(uri.clone()).map_err(|_| invalid("must be host:port or http://host:port"))?;
    if endpoint.uri().host().is_none_or(str::is_empty) || endpoint.uri().port_u16().is_none() {
        return Err(invalid("must be host:port or http://host:port"));
    }
    let channel = endpoint
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .connect_lazy();
    Ok(Member { uri, channel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_is_none_is_named() {
        for (text, why) in [
            ("https://a:1", "wants TLS"),
            ("tcp://a:1", "must be host:port"),
            ("a b:1", "must be host:port"),
            ("host", "must be host:port"),
            (":2379", "must be host:port"),
            ("", "must be host:port"),
        ] {
            match Endpoints::new(&[text.to_string()], KEEP_ALIVE, KEEP_ALIVE).map(|_| ()) {
                Err(Error::Invalid(said)) => assert!(said.contains(why) && said.contains(text), "{said}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(Endpoints::new(&["127.0.0.1:2379".into(), "http://[::1]:1".into()], KEEP_ALIVE, KEEP_ALIVE).is_ok());
    }
}
