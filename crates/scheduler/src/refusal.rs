//! Why a request cannot be placed.

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

/// Why a request cannot be placed. The text begins as the original's does, where it has one, and then says more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// Which kind of obstacle it is.
    pub kind: RefusalKind,
    /// For the user.
    pub text: String,
}

impl Refusal {
    pub(crate) fn new(kind: RefusalKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(crate) fn not_enough(text: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotEnough, text)
    }
}
