//! What happens to containers.

use super::{call::Call, inspect::exit_of, lines::JsonLines, runtime::Docker, target::Target};
use crate::port::{Action, Event, Result};
use eru_types::{EngineId, WorkloadName};
use futures::{StreamExt, stream, stream::BoxStream};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// The label of everything of ours.
const LABEL: &str = "ERU";
/// Broken streams whose place is remembered. More than this many subscribers nobody has.
const GAPS_LEN_MAX: usize = 16;

/// Where streams broke, in nanoseconds since the epoch: the next subscriptions begin there.
#[derive(Default)]
pub(super) struct Gaps(Mutex<VecDeque<i64>>);

impl Gaps {
    fn note(&self, nanos: i64) {
        let mut gaps = self.0.lock();
        if gaps.len() == GAPS_LEN_MAX {
            gaps.pop_front();
        }
        gaps.push_back(nanos);
    }

    fn take(&self) -> Option<i64> {
        self.0.lock().pop_front()
    }
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "Action", default)]
    action: String,
    #[serde(rename = "Actor", default)]
    actor: Actor,
    #[serde(rename = "timeNano", default)]
    time_nanos: i64,
}

#[derive(Default, Deserialize)]
struct Actor {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Attributes", default)]
    attributes: BTreeMap<String, String>,
}

impl Message {
    /// `None` = nothing that is of interest.
    fn event(&self) -> Option<Event> {
        let action = match self.action.as_str() {
            "create" => Action::Created,
            "start" => Action::Started,
            "die" => Action::Died,
            "destroy" => Action::Removed,
            _ => return None,
        };
        let at_ms = self.time_nanos / 1_000_000;
        // Whether it was for want of memory only its inspection says.
        let exit = || Some(exit_of(self.actor.attributes.get("exitCode")?.parse().ok()?, false, at_ms));
        Some(Event {
            id: EngineId::new(&self.actor.id).ok()?,
            name: WorkloadName::parse(self.actor.attributes.get("name")?).ok()?,
            action,
            at_ms,
            exit: if action == Action::Died { exit() } else { None },
        })
    }
}

/// A subscription.
struct Subscription {
    lines: JsonLines,
    gaps: Arc<Gaps>,
    /// Up to where it was read, in nanoseconds since the epoch.
    read: i64,
}

impl Docker {
    pub(super) async fn container_events(&self) -> Result<BoxStream<'static, Event>> {
        // The engine answers before it subscribes us. What it keeps of the time since closes that gap, and that of a stream
        // that broke.
        let gap = self.gaps.take();
        let since = gap.unwrap_or_else(now_nanos);
        let filters = json!({"type": ["container"], "label": [LABEL], "event": ["create", "start", "die", "destroy"]});
        let target = Target::new(&["events"]).with("since", seconds(since)).with("filters", filters.to_string());
        match self.transport.open(Call::get(target)).await {
            Ok(answer) => {
                let lines = JsonLines::new(answer.into_body());
                let subscription = Subscription { lines, gaps: self.gaps.clone(), read: since };
                Ok(stream::unfold(subscription, Subscription::next).boxed())
            }
            Err(fault) => {
                gap.inspect(|nanos| self.gaps.note(*nanos));
                Err(self.error(fault))
            }
        }
    }
}

impl Subscription {
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            match self.lines.next::<Message>().await {
                Ok(Some(message)) => {
                    // By the daemon's clock, which may be behind ours.
                    self.read = message.time_nanos.saturating_add(1);
                    if let Some(event) = message.event() {
                        return Some((event, self));
                    }
                }
                Ok(None) => break,
                Err(fault) => {
                    tracing::debug!(error = %fault, "the event stream broke");
                    break;
                }
            }
        }
        self.gaps.note(self.read);
        None
    }
}

/// Now, as finely as the engine counts: what it has told already is before.
fn now_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The engine's spelling of a time.
pub(super) fn seconds(nanos: i64) -> String {
    format!("{}.{:09}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_become_events() {
        let message = |action: &str, name: &str| -> Message {
            let text = json!({"Type": "container", "Action": action, "Actor": {"ID": "ab12", "Attributes": {"name": name, "exitCode": "137"}}, "timeNano": 1_795_545_040_371_360_094i64});
            serde_json::from_value(text).unwrap()
        };
        let event = message("die", "a_b_cdefgh").event().unwrap();
        assert_eq!((event.action, event.at_ms, event.id.as_str()), (Action::Died, 1_795_545_040_371, "ab12"));
        let exit = event.exit.unwrap();
        assert_eq!((exit.code, exit.signal, exit.at_ms), (137, 9, event.at_ms));
        assert!(message("start", "a_b_cdefgh").event().unwrap().exit.is_none());
        for (action, name) in [("die", "stranger"), ("exec_start: sh", "a_b_cdefgh"), ("", "")] {
            assert!(message(action, name).event().is_none());
        }
        assert!(serde_json::from_str::<Message>("{}").unwrap().event().is_none());
        assert_eq!(seconds(1_795_545_040_000_000_094), "1795545040.000000094");
    }

    #[test]
    fn gaps_are_taken_once_and_bounded() {
        let gaps = Gaps::default();
        (0..20).for_each(|n| gaps.note(n));
        assert_eq!((0..20).map_while(|_| gaps.take()).collect::<Vec<_>>(), (4..20).collect::<Vec<_>>());
    }
}
