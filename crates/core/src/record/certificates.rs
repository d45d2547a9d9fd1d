//! Certificates for an engine.

use serde::{Deserialize, Serialize};

/// What it takes to be let in at an endpoint, as PEM: authority, certificate and key. Never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Certificates([String; 3]);

impl Certificates {
    /// Of these three; each may be empty.
    pub fn new(authority: impl Into<String>, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        Self([authority.into(), certificate.into(), key.into()])
    }

    /// Who vouches for the engine.
    pub fn authority(&self) -> &str {
        &self.0[0]
    }

    /// Who we are.
    pub fn certificate(&self) -> &str {
        &self.0[1]
    }

    /// The proof of it.
    pub fn key(&self) -> &str {
        &self.0[2]
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(String::is_empty)
    }

    /// Whether all three are there.
    pub fn is_complete(&self) -> bool {
        !self.0.iter().any(String::is_empty)
    }

    /// These, with those of `newer` that are not empty in their places.
    #[must_use]
    pub fn with(mut self, newer: &Self) -> Self {
        for (old, new) in self.0.iter_mut().zip(&newer.0) {
            if !new.is_empty() {
                old.clone_from(new);
            }
        }
        self
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "***" })
    }
}
