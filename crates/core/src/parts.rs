//! The tasks that a core is made of, each with a name.
//!
//! # Invariants
//! - They are joined, never detached; those that are left when this is dropped are ended.
//! - One that ends before it was asked to, or panics, does not go unnoticed: without it the core would answer, and not do
//!   what it answers.

use std::collections::HashMap;
use tokio::task::{Id, JoinError, JoinSet};

/// A part that ended although nobody asked it to, or that panicked.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It returned.
    #[error("the {0} of the core ended by itself")]
    Ended(&'static str),
    /// It panicked.
    #[error("the {name} of the core failed: {cause}")]
    Failed {
        /// Which.
        name: &'static str,
        /// What the panic said.
        cause: JoinError,
    },
}

/// The tasks that a core is made of.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Parts {
    /// Starts a part.
    pub(crate) fn spawn(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(part).id();
        self.names.insert(id, name);
    }

    /// Waits until a part ends, while nobody has asked any of them to.
    ///
    /// # Cancel safety
    /// Safe: an end is reported to whoever waits next.
    pub(crate) async fn broken(&mut self) -> Broken {
        match self.next().await {
            Some(Ok(name)) => Broken::Ended(name),
            Some(Err(broken)) => broken,
            None => std::future::pending().await,
        }
    }

    /// Waits for all, which were asked to end; answers the first that panicked.
    pub(crate) async fn join(&mut self) -> Result<(), Broken> {
        let mut outcome = Ok(());
        while let Some(next) = self.next().await {
            if let Err(broken) = next {
                tracing::error!(%broken, "a part of the core failed");
                outcome = outcome.and(Err(broken));
            }
        }
        outcome
    }

    async fn next(&mut self) -> Option<Result<&'static str, Broken>> {
        let joined = self.tasks.join_next_with_id().await?;
        let id = match &joined {
            Ok((id, ())) => *id,
            Err(cause) => cause.id(),
        };
        let name = self.names.remove(&id).expect("every part was given a name");
        Some(match joined {
            Ok(_) => Ok(name),
            Err(cause) => Err(Broken::Failed { name, cause }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_and_a_panic_are_told_with_the_name() {
        let mut parts = Parts::default();
        parts.spawn("first", std::future::pending());
        parts.spawn("second", async {});
        assert_eq!(parts.broken().await.to_string(), "the second of the core ended by itself");
        parts.spawn("third", async { panic!("as the test wants it") });
        let text = parts.broken().await.to_string();
        assert!(text.starts_with("the third of the core failed") && text.contains("as the test wants it"), "{text}");
        let mut parts = Parts::default();
        parts.spawn("fourth", async { panic!("this too") });
        parts.spawn("fifth", async {});
        assert!(parts.join().await.unwrap_err().to_string().contains("fourth"));
        assert!(parts.join().await.is_ok(), "nothing is left");
    }
}
