//! Why a request cannot be placed.

use crate::Reason;
use std::fmt;

/// Which kind of obstacle it is; core answers with a gRPC code by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request is wrong by itself.
    Invalid,
    /// It names a node that does not exist.
    UnknownNode,
    /// The nodes are there, but none of them may be used.
    NoNode,
    /// The nodes have too little left.
    NotEnough,
}

/// Why a request cannot be placed. The text begins as the original's does, where it has one; then it says how many nodes
/// failed for which reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which kind of obstacle it is.
    pub kind: RefusalKind,
    /// The obstacle, without the reasons.
    pub text: String,
    /// Why nodes cannot take any instance; each node is in one of them.
    pub reasons: Vec<Reason>,
}

impl Refusal {
    pub(crate) fn new(kind: RefusalKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), reasons: Vec::new() }
    }

    pub(crate) fn not_enough(text: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotEnough, text)
    }

    pub(crate) fn because(self, reasons: Vec<Reason>) -> Self {
        Self { reasons, ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        for (i, reason) in self.reasons.iter().enumerate() {
            f.write_str(if i == 0 { ": " } else { "; " })?;
            reason.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
