//! The order of the steps.

use crate::plan::RemoveReason;
use crate::work::{Verdict, Work};
use crate::{Millis, Plan, Set, View, backoff, classify, missing, returns, rollout, status, surplus};

/// Works out everything that is to be done about one set.
///
/// # Invariants
/// See the crate's. `now` and the times of the view are of one clock, that of the caller.
///
/// # Cost
/// `O(n log n)` in instances and slots; a scale-down of `k` slots adds `O(k * slots)`.
pub fn reconcile(set: &Set, view: &View, now: Millis) -> Plan {
    let mut work = Work::new(set, view, now);
    classify::classify(&mut work, view);
    if set.removing {
        remove_all(&mut work);
    } else {
        backoff::count_failures(&mut work);
        surplus::fit_slots(&mut work);
        returns::settle_returns(&mut work);
        missing::check_breaker(&mut work);
        missing::fill(&mut work);
        rollout::roll(&mut work);
        surplus::release(&mut work);
    }
    missing::find_overdue(&mut work);
    finish(work)
}

/// A set that is being removed gives up every instance that is its own, reachable or not.
fn remove_all(work: &mut Work<'_>) {
    work.removes.clear();
    for index in 0..work.seen.len() {
        match work.seen[index].class {
            classify::Class::Foreign | classify::Class::Removing => {}
            _ => work.remove(index, RemoveReason::SetRemoved, 0),
        }
    }
}

fn finish(mut work: Work<'_>) -> Plan {
    debug_assert!(
        work.seen.iter().all(|seen| work.verdicts.contains_key(seen.instance.id.as_str())),
        "every instance has a verdict"
    );
    let stable_generation =
        if work.set.removing { work.set.stable_generation } else { rollout::stable_generation(&mut work) };
    let status = status::describe(&work, stable_generation);
    debug_assert_eq!(work.removes.len(), work.verdicts.values().filter(|v| **v == Verdict::Remove).count());
    Plan {
        stable_generation,
        status,
        wake_at: work.wake_at,
        creates: work.creates,
        removes: work.removes,
        keeps: Work::into_keeps(work.verdicts),
        holds: work.holds,
        resolves: work.resolves,
        slots: work.slots.into_values().collect(),
    }
}
