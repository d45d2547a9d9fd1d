//! Who is to be judged. Pure: facts and times in, names out.

use crate::record::Verdict;
use eru_types::NodeName;
use std::{collections::BTreeMap, time::Duration};

/// The brake is never on for fewer silent nodes: of one or two nodes "most" says nothing.
pub(super) const BRAKE_NODES_MIN: usize = 3;

/// What is known of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) node: NodeName,
    /// Its sign of life is there.
    pub(super) alive: bool,
    /// Somebody reported on it once; a new node is not judged.
    pub(super) known: bool,
    pub(super) verdict: Verdict,
}

/// How long a silence must last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Between the end of a lease and the verdict: long enough to see whether others fall silent with it.
    pub(super) patience: Duration,
    /// Between two questions to the engine of an unwatched node.
    pub(super) again: Duration,
    /// After a gap everybody gets this long to come back before silence counts.
    pub(super) grace: Duration,
}

impl Times {
    pub(super) fn of(lease: Duration) -> Self {
        Self { patience: lease / 6, again: lease, grace: lease }
    }
}

/// What to do now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// Their engines are to be asked; without an answer they are lost, with one unwatched.
    pub(super) due: Vec<NodeName>,
    /// They are back.
    pub(super) back: Vec<NodeName>,
    /// Most nodes are silent, so nobody is due.
    pub(super) braked: bool,
    /// How many are silent and not judged yet.
    pub(super) silent: usize,
    /// How many are watched.
    pub(super) watched: usize,
}

/// What was seen of a node since the watch began, on a clock that only moves forward.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Alive,
    SilentSince(Duration),
}

/// What the judge remembers.
#[derive(Debug, Default)]
pub(super) struct Judge {
    watching_since: Duration,
    seen: BTreeMap<NodeName, Seen>,
}

impl Judge {
    /// Begins to watch at `now`; also after a gap. Nobody's silence of before counts.
    pub(super) fn begin(&mut self, now: Duration) {
        self.watching_since = now;
        self.seen.clear();
    }

    /// Looks at all nodes.
    pub(super) fn judge(&mut self, now: Duration, nodes: &[Facts], times: Times) -> Judgement {
        let before = std::mem::take(&mut self.seen);
        let mut judgement = Judgement::default();
        let mut due = Vec::new();
        for facts in nodes.iter().filter(|facts| facts.known || facts.verdict != Verdict::Fine) {
            if facts.alive {
                if facts.verdict != Verdict::Fine {
                    judgement.back.push(facts.node.clone());
                }
                judgement.watched += 1;
                self.seen.insert(facts.node.clone(), Seen::Alive);
                continue;
            }
            let since = match before.get(&facts.node) {
                Some(Seen::SilentSince(since)) => *since,
                Some(Seen::Alive) => now,
                // Nobody saw it fall silent: it may be on its way back from whatever ended the last watch.
                None => now.max(self.watching_since + times.grace),
            };
            self.seen.insert(facts.node.clone(), Seen::SilentSince(since));
            let patience = match facts.verdict {
                Verdict::Lost => continue,
                Verdict::Unwatched => times.again,
                Verdict::Fine => {
                    judgement.watched += 1;
                    judgement.silent += 1;
                    times.patience
                }
            };
            if now >= since + patience {
                due.push(facts.node.clone());
            }
        }
        judgement.braked = judgement.silent >= BRAKE_NODES_MIN && judgement.silent * 2 > judgement.watched;
        if !judgement.braked {
            judgement.due = due;
        }
        judgement
    }

    /// A node was judged at `now`: it is asked again after the time for that.
    pub(super) fn judged(&mut self, node: &NodeName, now: Duration) {
        if let Some(seen) = self.seen.get_mut(node) {
            *seen = Seen::SilentSince(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(6);

    fn node(name: &str) -> NodeName {
        NodeName::new(name).unwrap()
    }

    fn facts(name: &str, alive: bool, verdict: Verdict) -> Facts {
        Facts { node: node(name), alive, known: true, verdict }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A judge that has watched `nodes` for long enough that everybody had time to come.
    fn watching(nodes: &[Facts]) -> Judge {
        let mut judge = Judge::default();
        judge.begin(ms(0));
        judge.judge(ms(0), nodes, Times::of(LEASE));
        judge.judge(ms(20_000), nodes, Times::of(LEASE));
        judge
    }

    #[test]
    fn a_silent_node_is_due_after_the_patience_and_not_before() {
        let (alive, silent) = ([facts("a", true, Verdict::Fine)], [facts("a", false, Verdict::Fine)]);
        let mut judge = watching(&alive);
        assert_eq!(judge.judge(ms(20_100), &silent, Times::of(LEASE)).due, vec![]);
        assert_eq!(judge.judge(ms(21_099), &silent, Times::of(LEASE)).due, vec![]);
        assert_eq!(judge.judge(ms(21_100), &silent, Times::of(LEASE)).due, vec![node("a")]);
        // It came back in between: its silence begins anew.
        judge.judge(ms(21_200), &alive, Times::of(LEASE));
        assert_eq!(judge.judge(ms(21_300), &silent, Times::of(LEASE)).due, vec![]);
    }

    #[test]
    fn after_a_gap_everybody_gets_a_whole_lease() {
        let silent = [facts("a", false, Verdict::Fine)];
        let mut judge = watching(&silent);
        assert_eq!(judge.judge(ms(30_000), &silent, Times::of(LEASE)).due, vec![node("a")]);
        judge.begin(ms(30_001));
        for (at, due) in [(30_001, false), (36_999, false), (37_001, true)] {
            assert_eq!(!judge.judge(ms(at), &silent, Times::of(LEASE)).due.is_empty(), due, "at {at}");
        }
    }

    #[test]
    fn most_of_the_nodes_at_once_are_not_believed() {
        for (total, silent_len, braked) in [
            (1, 1, false),
            (2, 2, false),
            (3, 2, false),
            (3, 3, true),
            (4, 2, false),
            (6, 3, false),
            (6, 4, true),
            (100, 51, true),
            (100, 50, false),
        ] {
            let all = |silent: usize| -> Vec<Facts> {
                (0..total).map(|i| facts(&format!("n{i}"), i >= silent, Verdict::Fine)).collect()
            };
            let mut judge = watching(&all(0));
            judge.judge(ms(20_100), &all(silent_len), Times::of(LEASE));
            let judgement = judge.judge(ms(22_000), &all(silent_len), Times::of(LEASE));
            assert_eq!(judgement.braked, braked, "{silent_len} of {total}");
            assert_eq!(judgement.due.len(), if braked { 0 } else { silent_len });
        }
    }

    #[test]
    fn who_is_judged_already_does_not_hold_the_brake() {
        let mut nodes: Vec<Facts> = (0..6).map(|i| facts(&format!("n{i}"), i < 2, Verdict::Lost)).collect();
        nodes[2].verdict = Verdict::Fine;
        let mut judge = watching(&nodes);
        let judgement = judge.judge(ms(30_000), &nodes, Times::of(LEASE));
        assert_eq!(judgement.due, vec![node("n2")]);
        assert_eq!(judgement.back, vec![node("n0"), node("n1")]);
    }

    #[test]
    fn a_new_node_is_not_judged() {
        let new = [Facts { known: false, ..facts("a", false, Verdict::Fine) }];
        let mut judge = watching(&new);
        assert_eq!(judge.judge(ms(60_000), &new, Times::of(LEASE)), Judgement::default());
    }

    #[test]
    fn an_unwatched_node_is_asked_again_at_each_lease() {
        let nodes = [facts("a", false, Verdict::Unwatched)];
        let mut judge = watching(&nodes);
        assert_eq!(judge.judge(ms(30_000), &nodes, Times::of(LEASE)).due, vec![node("a")]);
        judge.judged(&node("a"), ms(30_000));
        assert_eq!(judge.judge(ms(35_999), &nodes, Times::of(LEASE)).due, vec![]);
        assert_eq!(judge.judge(ms(36_000), &nodes, Times::of(LEASE)).due, vec![node("a")]);
    }
}
