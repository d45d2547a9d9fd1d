//! Which build of Eru runs.

/// What a program knows of how it was made: the one binary is told, and passes it on. Empty = not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// The commit that it was made of.
    pub git_hash: String,
    /// The time of the commit, or the one that whoever made it asked for, as RFC 3339.
    pub built_at: String,
    /// What made it.
    pub compiler: String,
}
