//! The store's handle, and the port.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

use super::convert::Prefix;
use super::endpoints::{Endpoints, Kind};
use super::error::Refusal;
use super::proto::etcdserverpb::kv_client::KvClient;
use super::proto::etcdserverpb::lease_client::LeaseClient;
use super::proto::etcdserverpb::{
    CompactionRequest, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
    RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};
use super::put_each::put_each;
use super::space::Space;
use super::watch::Watcher;
use crate::check;
use crate::limits::RANGE_BYTES_MAX;
use crate::port::{
    Durability, Error, GuardedPut, KeyRange, Kv, LeaseId, Op, PutOutcome, RangeOptions, RangeReply, Result, Revision,
    StoreIdentity, Txn, TxnReply, Watch, WatchItem,
};

/// Most bytes of one message that we take: a page of a range, or a piece of a watch's events, with room to spare.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Keys asked for in one page. etcd knows no bound in bytes; a page that is too large is asked for again, smaller.
const PAGE_KEYS: usize = 4096;
/// Longest prefix, in bytes.
const PREFIX_BYTES_MAX: usize = 256;

/// Which etcd, and what of it.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// The members, as `host:port` or `http://host:port`.
    pub endpoints: Vec<String>,
    /// What stands before every key of ours.
    pub prefix: String,
    /// Longest time until a connection stands.
    pub connect_timeout: Duration,
    /// Longest time until a request is answered.
    pub request_timeout: Duration,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self {
            endpoints: vec!["127.0.0.1:2379".into()],
            prefix: "/eru".into(),
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
        }
    }
}

/// What the handle and its watches share.
pub(super) struct Shared {
    pub(super) endpoints: Endpoints,
    pub(super) prefix: Prefix,
    pub(super) cluster_id: u64,
    /// Counts requests for progress.
    pub(super) progress: watch::Sender<u64>,
    pub(super) closed: CancellationToken,
    space: Space,
}

impl Shared {
    pub(super) fn closed_error() -> Error {
        Error::Unavailable { endpoint: "etcd".into(), cause: "this client is closed".into(), maybe_done: false }
    }
}

/// The store of a cluster: see the [module](super).
pub struct Etcd {
    shared: Arc<Shared>,
    prefix_text: String,
}

fn kv(channel: Channel) -> KvClient<Channel> {
    KvClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

fn revision(header: Option<ResponseHeader>) -> Revision {
    Revision(header.map_or(0, |header| header.revision))
}

/// A linearizable read that finds nothing, to learn the header.
async fn header(endpoints: &Endpoints, prefix: &Prefix) -> Result<ResponseHeader> {
    let request = RangeRequest { key: prefix.put_on(b"\0"), count_only: true, ..RangeRequest::default() };
    let reply = endpoints.call(Kind::Read, |channel| {
        let request = request.clone();
        async move { kv(channel).range(request).await }
    });
    reply.await?.into_inner().header.ok_or_else(|| Error::Storage("etcd answered without a header".into()))
}

impl Etcd {
    /// Connects, and learns which cluster it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that cannot work, [`Error::Unavailable`] when no endpoint answers.
    pub async fn connect(options: EtcdOptions) -> Result<Arc<Self>> {
        if options.prefix.is_empty() || options.prefix.len() > PREFIX_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "the etcd prefix must have between 1 and {PREFIX_BYTES_MAX} bytes, got {}",
                options.prefix.len()
            )));
        }
        let endpoints = Endpoints::new(&options.endpoints, options.connect_timeout, options.request_timeout)?;
        let prefix = Prefix::new(&options.prefix);
        let cluster_id = header(&endpoints, &prefix).await?.cluster_id;
        let (progress, _) = watch::channel(0);
        let (closed, space) = (CancellationToken::new(), Space::default());
        let shared = Arc::new(Shared { endpoints, prefix, cluster_id, progress, closed, space });
        Ok(Arc::new(Self { shared, prefix_text: options.prefix }))
    }

    pub(super) fn prefix(&self) -> &Prefix {
        &self.shared.prefix
    }

    pub(super) fn prefix_bytes(&self) -> usize {
        self.prefix_text.len()
    }

    fn open(&self) -> Result<()> {
        if self.shared.closed.is_cancelled() { Err(Shared::closed_error()) } else { Ok(()) }
    }

    async fn call<T, F, Fut>(&self, kind: Kind, ask: F) -> Result<T, Refusal>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        self.open().map_err(Refusal::Other)?;
        let Shared { endpoints, space, .. } = &*self.shared;
        if kind == Kind::Write {
            space.before_write(endpoints).await;
        }
        let answer = endpoints.call(kind, |channel| {
            let reply = ask(channel);
            async move { reply.await.map(tonic::Response::into_inner) }
        });
        let answer = answer.await;
        if let Err(Refusal::Other(Error::Full(_))) = &answer {
            space.note_full();
        }
        answer
    }

    pub(super) async fn write_txn(&self, request: TxnRequest) -> Result<TxnResponse, Refusal> {
        self.txn_of(Kind::Write, request).await
    }

    async fn txn_of(&self, kind: Kind, request: TxnRequest) -> Result<TxnResponse, Refusal> {
        self.call(kind, |channel| {
            let request = request.clone();
            async move { kv(channel).txn(request).await }
        })
        .await
    }

    async fn page(&self, range: &KeyRange, options: &RangeOptions) -> Result<RangeResponse> {
        let (key, range_end) = self.shared.prefix.range(range);
        let mut limit = if options.limit == 0 { PAGE_KEYS } else { options.limit.min(PAGE_KEYS) };
        loop {
            let request = RangeRequest {
                key: key.clone(),
                range_end: range_end.clone(),
                limit: i64::try_from(limit).unwrap_or(i64::MAX),
                revision: options.at.map_or(0, |at| at.0),
                count_only: false,
            };
            let reply = self.call(Kind::Read, |channel| {
                let request = request.clone();
                async move { kv(channel).range(request).await }
            });
            match reply.await {
                Err(Refusal::TooLarge) if limit > 1 => limit /= 4,
                Err(Refusal::Compacted) => return Err(Error::Compacted(self.horizon(range, options.at).await?)),
                Err(Refusal::Future) => return Err(Error::Future(self.revision().await?)),
                other => return Ok(other?),
            }
            limit = limit.max(1);
        }
    }

    /// The first revision that is there. Only a watch is told.
    async fn horizon(&self, range: &KeyRange, at: Option<Revision>) -> Result<Revision> {
        let mut watch = self.watch(range.clone(), at.unwrap_or(Revision(1))).await?;
        let told = tokio::time::timeout(self.shared.endpoints.request_timeout, async {
            loop {
                match watch.next().await {
                    Some(Ok(WatchItem::Compacted(at))) => return Some(at),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        });
        match told.await.ok().flatten() {
            Some(at) => Ok(at),
            None => self.revision().await,
        }
    }

    /// Which of the transaction's leases is gone.
    async fn missing_lease(&self, txn: &Txn) -> Result<LeaseId> {
        let leases = txn.then.iter().chain(&txn.or_else).filter_map(|op| match op {
            Op::Put { lease, .. } if lease.0 != 0 => Some(*lease),
            _ => None,
        });
        let mut last = LeaseId(0);
        for lease in leases {
            last = lease;
            if self.lease_time_to_live(lease).await?.is_none() {
                break;
            }
        }
        Ok(last)
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

#[async_trait]
impl Kv for Etcd {
    fn identity(&self) -> StoreIdentity {
        StoreIdentity { id: format!("{:016x}{}", self.shared.cluster_id, self.prefix_text), epoch: 0 }
    }

    async fn revision(&self) -> Result<Revision> {
        self.open()?;
        Ok(Revision(header(&self.shared.endpoints, &self.shared.prefix).await?.revision))
    }

    async fn range(&self, range: &KeyRange, options: RangeOptions) -> Result<RangeReply> {
        check::range(range)?;
        if let Some(at) = options.at {
            check::revision("a range", at)?;
        }
        let reply = self.page(range, &options).await?;
        let mut page = RangeReply { revision: revision(reply.header), kvs: Vec::new(), more: reply.more };
        let mut bytes = 0;
        for kv in reply.kvs {
            let kv = self.shared.prefix.key_value(kv)?;
            bytes += kv.key.len() + kv.value.len();
            if bytes > RANGE_BYTES_MAX && !page.kvs.is_empty() {
                page.more = true;
                break;
            }
            page.kvs.push(kv);
        }
        Ok(page)
    }

    async fn txn(&self, txn: Txn, _: Durability) -> Result<TxnReply> {
        check::txn(&txn)?;
        let only_reads = txn.then.iter().chain(&txn.or_else).all(|op| matches!(op, Op::Get(_)));
        let kind = if only_reads { Kind::Read } else { Kind::Write };
        match self.txn_of(kind, self.shared.prefix.txn(&txn)).await {
            Ok(reply) => self.shared.prefix.txn_reply(reply),
            Err(Refusal::LeaseGone) => Err(Error::LeaseGone(self.missing_lease(&txn).await?)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn put_each(&self, puts: Vec<GuardedPut>, _: Durability) -> Result<Vec<PutOutcome>> {
        check::puts(&puts)?;
        put_each(self, &puts).await
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId> {
        let ttl = i64::try_from(check::ttl_s(ttl)?).unwrap_or(i64::MAX);
        let reply = self
            .call(Kind::Write, |channel| async move {
                LeaseClient::new(channel).lease_grant(LeaseGrantRequest { ttl, id: 0 }).await
            })
            .await?;
        if reply.error.is_empty() { Ok(LeaseId(reply.id)) } else { Err(Error::Storage(reply.error)) }
    }

    async fn lease_keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        // Repeating it does no harm, so it may be tried on every member.
        let reply = self.call(Kind::Read, |channel| async move {
            let request = stream::iter([LeaseKeepAliveRequest { id: lease.0 }]);
            let mut replies = LeaseClient::new(channel).lease_keep_alive(request).await?.into_inner();
            let reply = replies.message().await?;
            reply.map(tonic::Response::new).ok_or_else(|| Status::unavailable("no answer to a keep alive"))
        });
        match reply.await {
            Ok(reply) if reply.ttl > 0 => Ok(seconds(reply.ttl)),
            Ok(_) | Err(Refusal::LeaseGone) => Err(Error::LeaseGone(lease)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn lease_time_to_live(&self, lease: LeaseId) -> Result<Option<(Duration, Duration)>> {
        let reply = self.call(Kind::Read, |channel| async move {
            LeaseClient::new(channel).lease_time_to_live(LeaseTimeToLiveRequest { id: lease.0 }).await
        });
        match reply.await {
            Ok(reply) if reply.ttl >= 0 && reply.granted_ttl > 0 => {
                Ok(Some((seconds(reply.ttl), seconds(reply.granted_ttl))))
            }
            Ok(_) | Err(Refusal::LeaseGone) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        let reply = self.call(Kind::Write, |channel| async move {
            LeaseClient::new(channel).lease_revoke(LeaseRevokeRequest { id: lease.0 }).await
        });
        match reply.await {
            Ok(_) | Err(Refusal::LeaseGone) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn watch(&self, range: KeyRange, from: Revision) -> Result<Watch> {
        check::range(&range)?;
        check::revision("a watch", from)?;
        self.open()?;
        Watcher::start(self.shared.clone(), &range, from.0).await
    }

    async fn request_progress(&self) -> Result<()> {
        self.shared.progress.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        let Shared { endpoints, space, .. } = &*self.shared;
        // Where room is wanted, the answer is to come when it is there.
        let request = CompactionRequest { revision: revision.0, physical: space.is_full() };
        match self.call(Kind::Write, |channel| async move { kv(channel).compact(request).await }).await {
            Ok(_) | Err(Refusal::Compacted) => {
                space.after_compaction(endpoints).await;
                Ok(())
            }
            Err(Refusal::Future) => Err(Error::Future(self.revision().await?)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn close(&self) -> Result<()> {
        self.shared.closed.cancel();
        Ok(())
    }
}
