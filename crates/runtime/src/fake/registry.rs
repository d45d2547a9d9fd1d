//! All simulated engines of this process, by name.

use super::{
    endpoint::{EndpointError, FakeOptions},
    engine::{Addresses, Fake},
    journal::Journal,
};
use crate::port::Error;
use eru_types::NodeName;
use parking_lot::Mutex;
use std::{collections::HashMap, fs, path::PathBuf, sync::Arc};

/// Gives everybody who asks for `fake://NAME` the same engine.
pub struct FakeRegistry {
    folder: Option<PathBuf>,
    addresses: Arc<Addresses>,
    engines: Mutex<HashMap<NodeName, Arc<Fake>>>,
}

impl FakeRegistry {
    /// A registry without engines. With a folder its engines keep their workloads in files there, so that a process that
    /// was killed finds them again, as it would with a real engine; without one they are forgotten with the process.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, addresses: Arc::default(), engines: Mutex::default() }
    }

    /// The engine of an endpoint; made when it is new. An engine that exists takes over the options that are given now,
    /// and keeps its workloads.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed endpoint, [`Error::Failed`] when the folder cannot be used.
    pub fn open(&self, endpoint: &str) -> Result<Arc<Fake>, Error> {
        let options = FakeOptions::parse(endpoint).map_err(|e: EndpointError| Error::Invalid(e.to_string()))?;
        let mut engines = self.engines.lock();
        if let Some(engine) = engines.get(&options.name) {
            engine.set_options(options);
            return Ok(engine.clone());
        }
        let name = options.name.clone();
        let journal = match &self.folder {
            None => None,
            Some(folder) => {
                let path = folder.join(format!("{name}.jsonl"));
                let opened = fs::create_dir_all(folder).and_then(|()| Journal::open(&path));
                Some(opened.map_err(|e| Error::Failed(format!("{}: {e}", path.display())))?)
            }
        };
        let engine = Arc::new(Fake::with_journal(options, self.addresses.clone(), journal));
        engines.insert(name, engine.clone());
        Ok(engine)
    }

    /// The engine of that name, if it was opened.
    pub fn get(&self, name: &NodeName) -> Option<Arc<Fake>> {
        self.engines.lock().get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        conformance::request,
        port::{Runtime, State},
    };
    use eru_types::Labels;

    #[tokio::test]
    async fn one_engine_per_name_and_its_objects_outlive_the_registry() {
        let folder = tempfile::tempdir().unwrap();
        let open = || FakeRegistry::new(Some(folder.path().to_owned()));
        let registry = open();
        let engine = registry.open("fake://n1").unwrap();
        assert!(Arc::ptr_eq(&engine, &registry.open("fake://n1?cores=3").unwrap()));
        assert_eq!(engine.info().await.unwrap().cores, 3);
        let kept = engine.create(&request("a_b_000001", &[])).await.unwrap();
        let gone = engine.create(&request("a_b_000002", &[])).await.unwrap();
        engine.start(&kept).await.unwrap();
        engine.remove(&gone, false).await.unwrap();
        let before = engine.list(&Labels::default()).await.unwrap();
        drop((engine, registry));

        let registry = open();
        let engine = registry.open("fake://n1").unwrap();
        let after = engine.list(&Labels::default()).await.unwrap();
        assert_eq!(before, after);
        assert_eq!(after[0].state, State::Running);
        let other = engine.create(&request("a_b_000003", &[])).await.unwrap();
        engine.start(&other).await.unwrap();
        assert_ne!(engine.inspect(&other).await.unwrap().networks, after[0].networks);
        assert!(registry.open("fake://..").is_err());
    }
}
