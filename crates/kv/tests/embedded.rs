//! The embedded store: the suite of the port, and what only it promises.

use std::sync::Arc;

use eru_kv::conformance::{self, Store};
use eru_kv::{Embedded, EmbeddedOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_conforms() {
    let root = tempfile::tempdir().expect("a temporary folder");
    conformance::run_all(|name| {
        let folder = root.path().join(name.replace(':', "_"));
        async move { Embedded::open(&folder, EmbeddedOptions::default()).expect("it opens") as Arc<_> as Store }
    })
    .await;
}
