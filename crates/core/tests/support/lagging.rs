//! A store that is well, with a watch that stands still when it is told to.

use async_trait::async_trait;
use eru_kv::{KeyRange, Kv, Result, Revision, Watch};
use eru_testkit::{Meddle, Meddled};
use futures::{StreamExt, stream};
use std::sync::Arc;
use tokio::sync::watch;

pub struct Lagging {
    inner: Arc<dyn Kv>,
    held: watch::Sender<bool>,
}

impl Lagging {
    pub fn new(inner: Arc<dyn Kv>) -> Arc<Meddled<Self>> {
        Arc::new(Meddled(Self { inner, held: watch::Sender::new(false) }))
    }

    /// Whether the watches stand still.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }
}

async fn released(held: &mut watch::Receiver<bool>) {
    // A store that is gone holds nobody any more.
    let _ = held.wait_for(|held| !held).await;
}

#[async_trait]
impl Meddle for Lagging {
    fn inner(&self) -> &Arc<dyn Kv> {
        &self.inner
    }

    async fn watch(&self, range: KeyRange, from: Revision) -> Result<Watch> {
        let items = self.inner.watch(range, from).await?;
        let next = |(mut items, mut held): (Watch, watch::Receiver<bool>)| async move {
            let item = items.next().await?;
            released(&mut held).await;
            Some((item, (items, held)))
        };
        Ok(stream::unfold((items, self.held.subscribe()), next).boxed())
    }

    async fn request_progress(&self) -> Result<()> {
        released(&mut self.held.subscribe()).await;
        self.inner.request_progress().await
    }
}
