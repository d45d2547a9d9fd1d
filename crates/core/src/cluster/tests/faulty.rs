//! A store whose answers get lost.

use async_trait::async_trait;
use bytes::Bytes;
use eru_kv::{Durability, Error, Kv, Op, Result, Txn, TxnReply};
use eru_testkit::Meddle;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Does as it is asked, and for some transactions says that it does not know whether it did.
pub(super) struct Faulty {
    pub(super) inner: Arc<dyn Kv>,
    /// Whose answers get lost: those that put a value with this text in it.
    pub(super) text: &'static str,
    /// How many got lost.
    pub(super) lost: AtomicU32,
}

fn holds(value: &Bytes, text: &str) -> bool {
    value.windows(text.len()).any(|window| window == text.as_bytes())
}

#[async_trait]
impl Meddle for Faulty {
    fn inner(&self) -> &Arc<dyn Kv> {
        &self.inner
    }

    async fn txn(&self, txn: Txn, durability: Durability) -> Result<TxnReply> {
        let loses = txn.then.iter().any(|op| matches!(op, Op::Put { value, .. } if holds(value, self.text)));
        let reply = self.inner.txn(txn, durability).await?;
        if loses {
            self.lost.fetch_add(1, Ordering::SeqCst);
            return Err(Error::Unavailable { endpoint: "test".into(), cause: "no answer".into(), maybe_done: true });
        }
        Ok(reply)
    }
}
