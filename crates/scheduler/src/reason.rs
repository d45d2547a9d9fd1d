//! Why nodes cannot take any instance, counted.

use std::{collections::BTreeMap, fmt};

/// What a node fails for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonKind {
    /// It is kept out by hand.
    Bypassed,
    /// Its agent is silent.
    Suspect,
    /// No agent reports, but its engine answers.
    Unwatched,
    /// It is held to be dead.
    Lost,
    /// The request excludes it.
    Excluded,
    /// It has not all of the wanted labels.
    Labels,
    /// It has not the label that instances are spread over.
    SpreadLabel,
    /// It has no runtime.
    NoRuntime,
    /// Its runtime runs something else.
    Content,
    /// It has fewer cores than asked for.
    Cores,
    /// It has no free cores of that size.
    BoundCores,
    /// It has cores, but not in one NUMA group with enough memory, nor across.
    NumaCores,
    /// Too little memory is left.
    Memory,
    /// Too little storage is left.
    Storage,
    /// Its devices cannot take the volumes.
    Volumes,
    /// It has as many instances as one node may have.
    Full,
}

impl ReasonKind {
    /// A word for it, for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bypassed => "bypassed",
            Self::Suspect => "suspect",
            Self::Unwatched => "unwatched",
            Self::Lost => "lost",
            Self::Excluded => "excluded",
            Self::Labels => "labels",
            Self::SpreadLabel => "spread_label",
            Self::NoRuntime => "no_runtime",
            Self::Content => "content",
            Self::Cores => "cores",
            Self::BoundCores => "bound_cores",
            Self::NumaCores => "numa_cores",
            Self::Memory => "memory",
            Self::Storage => "storage",
            Self::Volumes => "volumes",
            Self::Full => "full",
        }
    }
}

/// How many nodes fail for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// How many nodes.
    pub count: u32,
    /// What for.
    pub kind: ReasonKind,
    /// What for, in words.
    pub text: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} node{}: {}", self.count, if self.count == 1 { "" } else { "s" }, self.text)
    }
}

/// What one node fails for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) kind: ReasonKind,
    pub(crate) text: String,
    /// Bytes that are missing, where that is the reason.
    pub(crate) short: u64,
}

impl Cause {
    pub(crate) fn new(kind: ReasonKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), short: 0 }
    }

    pub(crate) fn short(kind: ReasonKind, what: &str, request: u64, free: u64) -> Self {
        Self { kind, text: format!("{what} short by"), short: request.saturating_sub(free) }
    }
}

/// Counts causes: the most frequent first.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<(ReasonKind, String), (u32, u64, u64)>);

impl Tally {
    pub(crate) fn add(&mut self, cause: Cause) {
        let (count, least, most) = self.0.entry((cause.kind, cause.text)).or_insert((0, u64::MAX, 0));
        *count += 1;
        *least = cause.short.min(*least);
        *most = cause.short.max(*most);
    }

    pub(crate) fn reasons(self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = self.0.into_iter().map(|((kind, text), of)| reason(kind, text, of)).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        reasons
    }
}

fn reason(kind: ReasonKind, text: String, (count, least, most): (u32, u64, u64)) -> Reason {
    let text = match (most, least == most) {
        (0, _) => text,
        (_, true) => format!("{text} {}", Size(least)),
        (_, false) => format!("{text} {} or more", Size(least)),
    };
    Reason { count, kind, text }
}

/// Bytes as people read them: the largest unit that leaves a whole number, or one digit after the point.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match UNITS.iter().find(|(unit, _)| self.0 >= *unit) {
            None => write!(f, "{} bytes", self.0),
            Some((unit, name)) if self.0.is_multiple_of(*unit) => write!(f, "{} {name}", self.0 / unit),
            Some((unit, name)) => write!(f, "{:.1} {name}", self.0 as f64 / *unit as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_first() {
        const MIB: u64 = 1 << 20;
        let mut tally = Tally::default();
        tally.add(Cause::new(ReasonKind::Bypassed, "bypassed"));
        for free in [512, 512, 512] {
            tally.add(Cause::short(ReasonKind::Memory, "memory", 1024 * MIB, free * MIB));
        }
        for free in [0, 1] {
            tally.add(Cause::short(ReasonKind::Storage, "storage", 1536 * MIB + 10, free * MIB));
        }
        let texts: Vec<String> = tally.reasons().iter().map(Reason::to_string).collect();
        let want =
            ["3 nodes: memory short by 512 MiB", "2 nodes: storage short by 1.5 GiB or more", "1 node: bypassed"];
        assert_eq!(texts, want);
        assert_eq!(Size(1023).to_string(), "1023 bytes");
    }
}
