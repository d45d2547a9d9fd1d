//! What happens to containers.

use super::{call::Call, inspect::exit_of, lines::JsonLines, runtime::Docker, target::Target};
use crate::port::{Action, Event, Result};
use eru_types::{EngineId, WorkloadName, labels};
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
const LABEL: &str = labels::ERU;
/// What is told of.
const CONTAINER: &str = "container";
const NETWORK: &str = "network";
/// Everything that changes what is reported of a workload. What health checks, limits and pauses do is not reported.
const ACTIONS: [&str; 7] = ["create", "start", "die", "rename", "destroy", "connect", "disconnect"];
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
    #[serde(rename = "Type", default)]
    kind: String,
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
        let attribute = |key: &str| self.actor.attributes.get(key).map(String::as_str);
        let (id, action) = match (self.kind.as_str(), self.action.as_str()) {
            // It has the labels of the network, so whose the container is nobody says.
            (NETWORK, "connect" | "disconnect") => (attribute("container")?, Action::Changed),
            (CONTAINER, action) => {
                attribute(LABEL)?;
                // One that gets another's name is no workload any more, which is for the look to say.
                let name = attribute(if action == "rename" { "oldName" } else { "name" })?;
                WorkloadName::parse(name).ok()?;
                let action = match action {
                    "create" => Action::Created,
                    "start" => Action::Started,
                    "die" => Action::Died,
                    "rename" => Action::Changed,
                    "destroy" => Action::Removed,
                    _ => return None,
                };
                (self.actor.id.as_str(), action)
            }
            _ => return None,
        };
        let at_ms = self.time_nanos / 1_000_000;
        // Whether it was for want of memory only its inspection says.
        let exit = || Some(exit_of(attribute("exitCode")?.parse().ok()?, false, at_ms));
        let exit = if action == Action::Died { exit() } else { None };
        Some(Event { id: EngineId::new(id).ok()?, action, at_ms, exit })
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
        // Not by label: of a network's events the engine knows that of the network alone.
        let filters = json!({"type": [CONTAINER, NETWORK], "event": ACTIONS});
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
            let text = json!({"Type": "container", "Action": action, "Actor": {"ID": "ab12", "Attributes": {"ERU": "1", "name": name, "exitCode": "137"}}, "timeNano": 1_795_545_040_371_360_094i64});
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
        let other =
            |text| serde_json::from_value::<Message>(text).unwrap().event().map(|e| (e.id.to_string(), e.action));
        let told = |kind: &str, action: &str, attributes: serde_json::Value| {
            other(json!({"Type": kind, "Action": action, "Actor": {"ID": "ab12", "Attributes": attributes}}))
        };
        let changed = |id: &str| Some((id.to_owned(), Action::Changed));
        for action in ["connect", "disconnect"] {
            assert_eq!(told("network", action, json!({"container": "cd34", "name": "bridge"})), changed("cd34"));
            assert_eq!(told("network", action, json!({"name": "bridge"})), None);
        }
        let renamed = json!({"ERU": "1", "name": "stranger", "oldName": "/a_b_cdefgh"});
        assert_eq!(told("container", "rename", renamed), changed("ab12"));
        // A network is made, and a container that is none of ours.
        assert_eq!(told("network", "create", json!({"ERU": "1", "name": "a_b_cdefgh"})), None);
        assert_eq!(told("container", "create", json!({"name": "a_b_cdefgh"})), None);
        assert_eq!(seconds(1_795_545_040_000_000_094), "1795545040.000000094");
    }

    #[test]
    fn gaps_are_taken_once_and_bounded() {
        let gaps = Gaps::default();
        (0..20).for_each(|n| gaps.note(n));
        assert_eq!((0..20).map_while(|_| gaps.take()).collect::<Vec<_>>(), (4..20).collect::<Vec<_>>());
    }
}
