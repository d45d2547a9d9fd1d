//! Which nodes are meant, and which images.

use super::super::{Cluster, Error, Result, image};
use crate::cache::NodeView;
use eru_runtime::Error as RuntimeError;
use eru_types::{NodeName, PodName, limits::LIST_LEN_MAX};
use std::{collections::BTreeSet, sync::Arc};

/// Most images of one request.
const IMAGES_LEN_MAX: usize = 100;
/// Most nodes at a time.
const STEP_MAX: usize = 1000;

/// The nodes of a request: named, or all of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeChoice {
    pod: Option<PodName>,
    names: Vec<NodeName>,
}

impl NodeChoice {
    /// Proves the fields of a request. Names win over the pod, as in the original.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field; with `is_needed` also when both are empty.
    pub(super) fn from_wire(pod: &str, names: &[String], is_needed: bool) -> Result<Self> {
        if names.len() > LIST_LEN_MAX {
            return Err(Error::Invalid(format!("nodenames: {} items (at most {LIST_LEN_MAX})", names.len())));
        }
        let mut seen = BTreeSet::new();
        let names = names.iter().filter(|name| seen.insert(name.as_str())).map(|name| Ok(NodeName::new(name)?));
        let names: Vec<NodeName> = names.collect::<Result<_>>()?;
        let pod = match pod {
            "" if is_needed && names.is_empty() => return Err(Error::Invalid("pod name is empty".into())),
            "" => None,
            pod => Some(PodName::new(pod)?),
        };
        Ok(Self { pod, names })
    }
}

/// Proves the images of a request; one that is named twice is meant once.
pub(super) fn images(images: &[String]) -> Result<Vec<String>> {
    if images.is_empty() || images.iter().any(String::is_empty) {
        return Err(Error::Invalid("no image".into()));
    }
    if images.len() > IMAGES_LEN_MAX {
        return Err(Error::Invalid(format!("images: {} items (at most {IMAGES_LEN_MAX})", images.len())));
    }
    images.iter().try_for_each(|name| image::check(name))?;
    let mut seen = BTreeSet::new();
    Ok(images.iter().filter(|name| seen.insert(name.as_str())).cloned().collect())
}

/// Proves how many nodes at a time are wanted; 0 is one.
pub(super) fn step(step: i32) -> Result<usize> {
    match usize::try_from(step) {
        Ok(step) => Ok(step.clamp(1, STEP_MAX)),
        Err(_) => Err(Error::Invalid(format!("step must be 0 (one node at a time) or more, got {step}"))),
    }
}

impl Cluster {
    /// The nodes in the order of their names. Those of a pod without the ones that are kept out of scheduling or run no
    /// images; named ones as they are.
    pub(super) async fn chosen(&self, choice: &NodeChoice) -> Result<Vec<Arc<NodeView>>> {
        self.cache.linearizable().await?;
        let all: Vec<Arc<NodeView>> = if choice.names.is_empty() {
            if let Some(pod) = &choice.pod {
                self.check_pod(pod).await?;
            }
            let nodes = self.cache.nodes(choice.pod.as_ref());
            nodes.into_iter().filter(|node| !node.record.bypass).collect()
        } else {
            let named = choice.names.iter().map(|name| self.cache.node(name).ok_or_else(|| Error::no_node(name)));
            named.collect::<Result<_>>()?
        };
        let Some(first) = all.first() else {
            let pod = choice.pod.as_ref().map(|pod| format!(": {pod}")).unwrap_or_default();
            return Err(Error::Precondition(format!("pod has no nodes{pod}")));
        };
        if !all.iter().any(|node| node.record.runs_images) {
            let kind = self.engines.kind(&first.record.record)?;
            return Err(RuntimeError::Unsupported { kind, what: "images" }.into());
        }
        let named = !choice.names.is_empty();
        Ok(all.into_iter().filter(|node| named || node.record.runs_images).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_images_and_steps_are_checked() {
        assert_eq!(NodeChoice::from_wire("", &[], true).unwrap_err().to_string(), "pod name is empty");
        assert!(NodeChoice::from_wire("", &[], false).is_ok());
        let twice = ["a".to_owned(), "a".to_owned()];
        assert_eq!(NodeChoice::from_wire("", &twice, true).unwrap().names.len(), 1);
        assert!(NodeChoice::from_wire("", &["a/b".into()], true).is_err());
        assert!(NodeChoice::from_wire("../p", &[], true).is_err());
        assert_eq!(images(&[]).unwrap_err().to_string(), "no image");
        assert_eq!(images(&["a".into(), String::new()]).unwrap_err().to_string(), "no image");
        assert!(images(&["A B".into()]).unwrap_err().to_string().contains("\"A B\" is not an image reference"));
        assert!(images(&vec!["a".into(); 101]).unwrap_err().to_string().contains("101 items (at most 100)"));
        assert_eq!(images(&["a:1".into(), "a:1".into()]).unwrap(), ["a:1"]);
        assert_eq!((step(0).unwrap(), step(7).unwrap(), step(i32::MAX).unwrap()), (1, 7, STEP_MAX));
        assert!(step(-1).unwrap_err().to_string().contains("got -1"));
    }
}
