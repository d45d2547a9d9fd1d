//! Places where a core may be made to die, so that tests can prove what survives it.
//!
//! Between any two steps that change something there is a point with a name. In a debug build a process that was started
//! with `ERU_FAULT=<name>` (or `<name>@<n>`) kills itself with SIGKILL when it comes there (for the n-th time). In a
//! release build the points do nothing.
//!
//! A test in the same process cannot kill itself: it gives a [`Faults`] a hook instead, and a point that the hook chooses
//! never returns, which is what a dead process looks like to everything else.

use std::sync::Arc;

/// Every point, in the order in which a workload's life meets them.
pub const POINTS: &[&str] = &[
    "deploy.before_commit",
    "deploy.planned",
    "deploy.engine_created",
    "deploy.files_put",
    "deploy.created",
    "deploy.engine_started",
    "deploy.hooks_run",
    "deploy.running",
    "undo.removing",
    "undo.engine_removed",
    "undo.old_started",
    "undo.gone",
    "remove.before_removing",
    "remove.removing",
    "remove.engine_removed",
    "remove.gone",
    "replace.before_commit",
    "replace.planned",
    "replace.stopped",
    "replace.running",
    "dissociate.before_commit",
    "dissociate.gone",
    "recover.taken_over",
    "sweep.before_remove",
];

/// Says of a point's name whether to stop there for ever.
pub type Hook = Arc<dyn Fn(&'static str) -> bool + Send + Sync>;

/// The points of one core.
#[derive(Clone, Default)]
pub struct Faults {
    hook: Option<Hook>,
}

impl Faults {
    /// With a hook of a test.
    pub fn with_hook(hook: Hook) -> Self {
        Self { hook: Some(hook) }
    }

    /// A point. `name` is one of [`POINTS`].
    pub async fn point(&self, name: &'static str) {
        debug_assert!(POINTS.contains(&name), "{name} is not in the table of points");
        if let Some(hook) = &self.hook
            && hook(name)
        {
            std::future::pending::<()>().await;
        }
        #[cfg(debug_assertions)]
        killed::at(name);
    }
}

#[cfg(debug_assertions)]
mod killed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    /// Names the point and the visit that end this process.
    const VARIABLE: &str = "ERU_FAULT";

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static VISITS: AtomicU64 = AtomicU64::new(0);

    pub(super) fn at(name: &'static str) {
        let Some((wanted, visit)) = WANTED.get_or_init(wanted) else { return };
        if wanted == name && VISITS.fetch_add(1, Ordering::SeqCst) + 1 == *visit {
            // It cannot fail: a process may always signal itself.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }

    fn wanted() -> Option<(String, u64)> {
        parse(&std::env::var(VARIABLE).ok()?)
    }

    /// `<name>` or `<name>@<visit>`; a visit that is no number counts as the first.
    pub(super) fn parse(text: &str) -> Option<(String, u64)> {
        let (name, visit) = text.split_once('@').unwrap_or((text, "1"));
        if !super::POINTS.contains(&name) {
            tracing::warn!(%name, "{VARIABLE} names no fault point");
            return None;
        }
        Some((name.to_owned(), visit.parse().unwrap_or(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        assert_eq!(POINTS.iter().collect::<HashSet<_>>().len(), POINTS.len());
    }

    #[cfg(debug_assertions)]
    #[test]
    fn the_variable_names_a_point_and_a_visit() {
        assert_eq!(killed::parse("deploy.planned"), Some(("deploy.planned".into(), 1)));
        assert_eq!(killed::parse("deploy.planned@17"), Some(("deploy.planned".into(), 17)));
        assert_eq!(killed::parse("deploy.nowhere"), None);
    }

    #[tokio::test]
    async fn a_hook_stops_at_its_point_for_ever() {
        let faults = Faults::with_hook(Arc::new(|name| name == "deploy.planned"));
        faults.point("deploy.created").await;
        let stopped = tokio::time::timeout(std::time::Duration::from_millis(20), faults.point("deploy.planned")).await;
        assert!(stopped.is_err());
    }
}
