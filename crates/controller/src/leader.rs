//! Who decides. A leader has an epoch that is higher than that of every leader before; core compares it with each act.

use crate::{Error, Leadership, keys};
use bytes::Bytes;
use eru_client::Backoff;
use eru_kv::{Durability, Guard, KeyRange, KeyValue, Kv, LeaseId, Op, RangeOptions, Revision, Txn};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a waiting controller looks whether the place is free, as a part of the leader's time to live.
const LOOKS_A_TTL: u32 = 5;
/// How often the lease is renewed, as a part of its time to live.
const BEATS_A_TTL: u32 = 4;

/// The right to decide.
#[derive(Debug, Clone)]
pub struct Term {
    /// Grows from leader to leader.
    pub epoch: i64,
    /// Holds as long as we lead.
    pub fence: Vec<Guard>,
    lease: Option<(LeaseId, Duration)>,
}

/// Waits until we may decide.
///
/// # Errors
/// Those of the store that retrying does not cure; `None` = shut down.
pub async fn campaign(
    kv: &Arc<dyn Kv>,
    leadership: Leadership,
    identity: &str,
    shutdown: &CancellationToken,
) -> Result<Option<Term>, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        let attempt = match leadership {
            Leadership::Alone => lead_alone(&**kv).await,
            Leadership::Leased { ttl } => lead_leased(&**kv, ttl, identity).await,
        };
        let wait = match (attempt, leadership) {
            (Ok(Some(term)), _) => return Ok(Some(term)),
            (Ok(None), Leadership::Leased { ttl }) => ttl / LOOKS_A_TTL,
            (Ok(None), Leadership::Alone) => backoff.next_wait(),
            (Err(error), _) if error.is_curable() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the controller cannot campaign");
                backoff.next_wait()
            }
            (Err(error), _) => return Err(error),
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
    }
}

/// Renews the lease until it is lost; nothing to renew for one who is alone.
///
/// # Cancel safety
/// The lease stays; see [`resign`].
pub async fn keep(kv: &Arc<dyn Kv>, term: &Term) {
    let Some((lease, ttl)) = term.lease else { return std::future::pending().await };
    let mut renewed = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(ttl / BEATS_A_TTL).await;
        // An answer that comes too late is none: the time counts from the question.
        let asked = tokio::time::Instant::now();
        match tokio::time::timeout_at(renewed + ttl, kv.lease_keep_alive(lease)).await {
            Ok(Ok(_)) => renewed = asked,
            Ok(Err(eru_kv::Error::LeaseGone(_))) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the controller's lease could not be renewed");
                if asked >= renewed + ttl {
                    return;
                }
            }
        }
    }
}

/// Gives the place up, so that the next one need not wait.
pub async fn resign(kv: &Arc<dyn Kv>, term: &Term) {
    if let Some((lease, ttl)) = term.lease {
        match tokio::time::timeout(ttl, kv.lease_revoke(lease)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the controller could not give its place up"),
            Err(_) => tracing::warn!("the controller could not give its place up in time"),
        }
    }
}

async fn lead_alone(kv: &dyn Kv) -> Result<Option<Term>, Error> {
    let (epoch, guard, op) = next_epoch(kv).await?;
    let reply = kv.txn(Txn { guards: vec![guard], then: vec![op], or_else: Vec::new() }, Durability::Durable).await?;
    Ok(reply.succeeded.then_some(Term { epoch, fence: Vec::new(), lease: None }))
}

async fn lead_leased(kv: &dyn Kv, ttl: Duration, identity: &str) -> Result<Option<Term>, Error> {
    if read(kv, keys::LEADER).await?.is_some() {
        return Ok(None);
    }
    let lease = kv.lease_grant(ttl).await?;
    let (epoch, guard, op) = next_epoch(kv).await?;
    let place = Op::Put { key: keys::LEADER.into(), value: Bytes::copy_from_slice(identity.as_bytes()), lease };
    let guards = vec![Guard::Absent(keys::LEADER.into()), guard];
    let reply = kv.txn(Txn { guards, then: vec![place, op], or_else: Vec::new() }, Durability::Durable).await?;
    if !reply.succeeded {
        kv.lease_revoke(lease).await?;
        return Ok(None);
    }
    let fence = vec![Guard::CreateRevision(keys::LEADER.into(), reply.revision)];
    Ok(Some(Term { epoch, fence, lease: Some((lease, ttl)) }))
}

async fn next_epoch(kv: &dyn Kv) -> Result<(i64, Guard, Op), Error> {
    let last = read(kv, keys::EPOCH).await?;
    let revision = last.as_ref().map_or(Revision(0), |kv| kv.mod_revision);
    let epoch = match &last {
        None => 1,
        Some(kv) => {
            let text = String::from_utf8_lossy(&kv.value).into_owned();
            let number: Option<i64> = text.parse().ok();
            let cause = || Error::Record { key: keys::EPOCH.into(), cause: format!("{text:?} is not a number") };
            number.and_then(|n| n.checked_add(1)).ok_or_else(cause)?
        }
    };
    Ok((epoch, Guard::ModRevision(keys::EPOCH.into(), revision), Op::put(keys::EPOCH, epoch.to_string())))
}

async fn read(kv: &dyn Kv, key: &'static str) -> Result<Option<KeyValue>, Error> {
    Ok(kv.range(&KeyRange::key(key), RangeOptions::default()).await?.kvs.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_kv::{Embedded, EmbeddedOptions};

    fn store() -> (tempfile::TempDir, Arc<dyn Kv>) {
        let folder = tempfile::tempdir().unwrap();
        let kv = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
        (folder, kv)
    }

    async fn lead(kv: &Arc<dyn Kv>, leadership: Leadership, identity: &str) -> Option<Term> {
        campaign(kv, leadership, identity, &CancellationToken::new()).await.unwrap()
    }

    #[tokio::test]
    async fn epochs_grow() {
        let (_folder, kv) = store();
        for epoch in 1..=3 {
            assert_eq!(lead(&kv, Leadership::Alone, "a").await.unwrap().epoch, epoch);
        }
    }

    #[tokio::test]
    async fn one_leads_at_a_time_and_the_deposed_cannot_write() {
        let (_folder, kv) = store();
        let leadership = Leadership::Leased { ttl: Duration::from_secs(2) };
        let first = lead(&kv, leadership, "a").await.unwrap();
        assert_eq!(&read(&*kv, keys::LEADER).await.unwrap().unwrap().value[..], b"a");
        let shutdown = CancellationToken::new();
        // The first is silent: the second takes over when the lease has run out.
        let second = campaign(&kv, leadership, "b", &shutdown).await.unwrap().unwrap();
        assert!(second.epoch > first.epoch);
        let write = |term: &Term| Txn { guards: term.fence.clone(), then: vec![Op::put("/x", "1")], ..Txn::default() };
        assert!(!kv.txn(write(&first), Durability::Durable).await.unwrap().succeeded);
        assert!(kv.txn(write(&second), Durability::Durable).await.unwrap().succeeded);
        // The lease of the first is gone, so it stops by itself.
        tokio::time::timeout(Duration::from_secs(5), keep(&kv, &first)).await.unwrap();
        resign(&kv, &second).await;
        assert_eq!(read(&*kv, keys::LEADER).await.unwrap(), None);
        shutdown.cancel();
        kv.close().await.unwrap();
    }

    #[tokio::test]
    async fn waiting_ends_with_shutdown() {
        let (_folder, kv) = store();
        let leadership = Leadership::Leased { ttl: Duration::from_secs(60) };
        let _first = lead(&kv, leadership, "a").await.unwrap();
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        assert!(campaign(&kv, leadership, "b", &shutdown).await.unwrap().is_none());
    }
}
