//! The controller's keys.
//!
//! | key | value | written by |
//! | --- | --- | --- |
//! | `/controller/leader` | identity, bound to the leader's lease | leader |
//! | `/controller/epoch` | number of leaders so far | leader |
//! | `/controller/set/<name>` | [`crate::record::SetRecord`] | sets |
//! | `/controller/spec/<uid>/<generation>` | [`crate::record::SpecRecord`] | sets |
//! | `/controller/progress/<uid>` | [`crate::record::ProgressRecord`] | worker |
//! | `/controller/slot/<uid>/<slot>` | [`crate::record::SlotRecord`] | worker |

use eru_kv::KeyRange;

/// Who leads.
pub const LEADER: &str = "/controller/leader";
/// How many leaders there have been.
pub const EPOCH: &str = "/controller/epoch";

/// A set.
pub fn set(name: &str) -> String {
    format!("/controller/set/{name}")
}

/// All sets.
pub fn sets() -> KeyRange {
    KeyRange::prefix("/controller/set/")
}

/// One generation of a set's spec; padded, so that keys are in the order of generations.
pub fn spec(uid: &str, generation: u64) -> String {
    format!("/controller/spec/{uid}/{generation:020}")
}

/// All generations of a set's spec.
pub fn specs(uid: &str) -> KeyRange {
    KeyRange::prefix(format!("/controller/spec/{uid}/"))
}

/// What is known to work of a set.
pub fn progress(uid: &str) -> String {
    format!("/controller/progress/{uid}")
}

/// One slot of a set.
pub fn slot(uid: &str, slot: u32) -> String {
    format!("/controller/slot/{uid}/{slot:010}")
}

/// All slots of a set.
pub fn slots(uid: &str) -> KeyRange {
    KeyRange::prefix(format!("/controller/slot/{uid}/"))
}
