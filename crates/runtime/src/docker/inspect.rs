//! What the engine says of a container, as the port says it. Pure: no IO, no clock.

use super::{
    joins::{HOST, NONE},
    reason,
};
use crate::port::{Inspection, State};
use eru_types::{
    EngineId, ExitStatus, Labels, WorkloadName,
    labels::{LABELS_LEN_MAX, is_reserved},
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

/// The highest signal.
const SIGNAL_MAX: i32 = 64;
/// What shells add to a signal.
const BY_SIGNAL: i32 = 128;

/// The code of an end that nobody saw, as containerd has it.
const CODE_UNKNOWN: i32 = 255;

/// What a list says of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Summary {
    pub(super) id: String,
    names: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    state: String,
    /// For people: `Exited (137) 2 hours ago`.
    status: String,
    network_settings: Option<NetworkSettings>,
}

impl Summary {
    /// What is known of a container that the engine cannot describe, for that reason.
    pub(super) fn description(self, why: String) -> Container {
        let code = self.status.strip_prefix("Exited (").and_then(|rest| rest.split_once(')')?.0.parse().ok());
        let ended = !["created", "running", "paused"].contains(&self.state.as_str());
        let exit_code = if ended { code.unwrap_or(CODE_UNKNOWN) } else { 0 };
        Container {
            id: self.id,
            name: self.names.into_iter().flatten().next().unwrap_or_default(),
            state: ContainerState { status: self.state, error: why, exit_code, ..ContainerState::default() },
            config: ContainerConfig { labels: self.labels, ..ContainerConfig::default() },
            network_settings: self.network_settings.unwrap_or_default(),
            ..Container::default()
        }
    }
}

/// The parts of a container's description that are used. What an engine leaves out is empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: String,
    pub(super) restart_count: u32,
    pub(super) state: ContainerState,
    pub(super) config: ContainerConfig,
    #[serde(rename = "HostConfig")]
    pub(super) rights: Rights,
    pub(super) network_settings: NetworkSettings,
}

/// What a container may do beyond others.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Rights {
    pub(super) privileged: bool,
    pub(super) cap_add: Option<Vec<String>>,
}

impl Rights {
    /// In brackets, as they were asked for; nothing when none are known.
    pub(super) fn asked(&self) -> String {
        match self.cap_add.as_deref() {
            _ if self.privileged => " (privileged)".to_owned(),
            Some(capabilities @ [_, ..]) => format!(" (cap_add: {})", capabilities.join(", ")),
            _ => String::new(),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ContainerState {
    /// A word of the engine; a new one must not spoil a list.
    pub(super) status: String,
    #[serde(rename = "OOMKilled")]
    pub(super) oom_killed: bool,
    pub(super) pid: u32,
    pub(super) exit_code: i32,
    pub(super) error: String,
    pub(super) started_at: String,
    pub(super) finished_at: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ContainerConfig {
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) tty: bool,
    pub(super) open_stdin: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct NetworkSettings {
    pub(super) networks: Option<BTreeMap<String, Option<Joined>>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Joined {
    #[serde(rename = "IPAddress")]
    pub(super) ipv4: String,
    #[serde(rename = "GlobalIPv6Address")]
    pub(super) ipv6: String,
}

impl Joined {
    /// Its addresses there, the older kind first.
    pub(super) fn addresses(&self) -> Vec<String> {
        [&self.ipv4, &self.ipv6].into_iter().filter(|a| !a.is_empty()).cloned().collect()
    }
}

impl Container {
    /// What the port knows of it; `None` = it is no workload.
    pub(super) fn inspection(&self, host: IpAddr) -> Option<Inspection> {
        let state = self.phase();
        let running = state == State::Running;
        let networks = if running { self.networks(host) } else { BTreeMap::new() };
        let restarting = self.state.status == "restarting";
        Some(Inspection {
            id: EngineId::new(&self.id).ok()?,
            name: WorkloadName::parse(&self.name).ok()?,
            labels: labels(self.config.labels.as_ref()),
            probe_address: probe_address(&networks),
            networks,
            exit: (state == State::Exited).then(|| self.exit()),
            // The engine counts a restart when it decides on it.
            restarts: self.restart_count.saturating_sub(u32::from(restarting)),
            started_at_ms: time_ms(&self.state.started_at),
            reason: self.reason(state),
            pid: if running { self.state.pid } else { 0 },
            isolation: String::new(),
            state,
        })
    }

    fn phase(&self) -> State {
        match self.state.status.as_str() {
            "running" | "paused" | "stopping" => State::Running,
            // A start that failed leaves it as it was, but with a code.
            "created" if self.state.exit_code == 0 => State::Created,
            "removing" if self.state.pid > 0 => State::Running,
            _ => State::Exited,
        }
    }

    fn networks(&self, host: IpAddr) -> BTreeMap<String, String> {
        let joined = self.network_settings.networks.iter().flatten();
        let shown = joined.filter_map(|(name, joined)| match name.as_str() {
            HOST => Some((name.clone(), host.to_string())),
            NONE => None,
            _ => Some((name.clone(), joined.as_ref()?.addresses().into_iter().next()?)),
        });
        shown.collect()
    }

    fn exit(&self) -> ExitStatus {
        let finished = time_ms(&self.state.finished_at);
        if self.never_ran() {
            // As shells say that a command could not be executed, and the engine in most cases.
            let at_ms = if finished > 0 { finished } else { time_ms(&self.created) };
            return ExitStatus { code: 127, signal: 0, oom_killed: false, at_ms };
        }
        // The engine notes the start when it hears of it: what is over at once ended before that.
        exit_of(self.state.exit_code, self.state.oom_killed, finished.max(time_ms(&self.state.started_at)))
    }

    fn never_ran(&self) -> bool {
        self.state.status == "created"
    }

    fn reason(&self, state: State) -> String {
        match state {
            State::Exited if !self.state.error.is_empty() => reason::plain(&self.state.error, &self.rights),
            State::Exited if self.state.oom_killed => "the kernel ended it for want of memory".into(),
            _ => String::new(),
        }
    }
}

/// The labels that fit, Eru's own first: those that come with an image may be longer than ours, and hide no workload.
fn labels(all: Option<&BTreeMap<String, String>>) -> Labels {
    let pair = |(key, value): (&String, &String)| BTreeMap::from([(key.clone(), value.clone())]);
    let (ours, others): (Vec<_>, Vec<_>) = all.into_iter().flatten().partition(|(key, _)| is_reserved(key));
    let fitting = ours.into_iter().chain(others).map(pair).filter(|pair| Labels::new(pair.clone()).is_ok());
    Labels::new(fitting.take(LABELS_LEN_MAX).flatten().collect()).expect("each fits, and they are not too many")
}

/// Where health checks knock: of several networks the first with an address.
fn probe_address(networks: &BTreeMap<String, String>) -> Option<IpAddr> {
    if networks.contains_key(HOST) {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    networks.values().find_map(|address| address.parse().ok())
}

/// RFC 3339 as milliseconds since the epoch; 0 for the engine's "never" and for nonsense.
pub(super) fn time_ms(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().map_or(0, |time| time.as_millisecond().max(0))
}

/// An end with that code.
pub(super) fn exit_of(code: i32, oom_killed: bool, at_ms: i64) -> ExitStatus {
    // The engine does not tell 128 + signal from a signal.
    let signal = if (BY_SIGNAL + 1..=BY_SIGNAL + SIGNAL_MAX).contains(&code) { code - BY_SIGNAL } else { 0 };
    ExitStatus { code, signal, oom_killed, at_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOST_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

    fn of(change: serde_json::Value) -> Inspection {
        let mut text = json!({
            "Id": "76bc45a2689355b0f068da2be4b5a13499fd0b1a1017bc76f27f9bef3321259d",
            "Name": "/web_http_JFfwYY",
            "Created": "2026-11-24T18:30:40.144618099Z",
            "RestartCount": 2,
            "State": {"Status": "running", "Pid": 11350, "ExitCode": 0, "StartedAt": "2026-11-24T18:30:40.371360094Z", "FinishedAt": "0001-01-01T00:00:00Z"},
            "Config": {"Tty": false, "Labels": {"ERU": "1"}},
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}}},
        });
        merge(&mut text, change);
        serde_json::from_value::<Container>(text).unwrap().inspection(HOST_ADDRESS).unwrap()
    }

    fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
        match (into, from) {
            (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
                from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(json!(null)), value));
            }
            (into, from) => *into = from,
        }
    }

    #[test]
    fn a_running_one() {
        let seen = of(json!({}));
        assert_eq!((seen.state, seen.pid, seen.restarts, seen.exit), (State::Running, 11350, 2, None));
        assert_eq!((seen.name.to_string().as_str(), seen.started_at_ms), ("web_http_JFfwYY", 1_795_545_040_371));
        assert_eq!(seen.networks["bridge"], "172.17.0.2");
        assert_eq!(seen.probe_address, Some("172.17.0.2".parse().unwrap()));
        let host = of(
            json!({"NetworkSettings": {"Networks": {"host": {"IPAddress": ""}, "bridge": null}}, "State": {"Status": "paused"}}),
        );
        assert_eq!((host.state, host.networks["host"].as_str()), (State::Running, "10.1.2.3"));
        assert_eq!(host.probe_address, Some("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn labels_of_an_image_hide_nothing() {
        let seen = of(json!({"Config": {"Labels": {"long": "x".repeat(100_000), "k=": "v", "good": "1"}}}));
        assert_eq!(
            seen.labels.as_map(),
            &BTreeMap::from([("ERU", "1"), ("good", "1")].map(|(k, v)| (k.into(), v.into())))
        );
        let many: serde_json::Map<_, _> = (0..LABELS_LEN_MAX).map(|n| (format!("A{n}"), json!(""))).collect();
        let seen = of(json!({"Config": {"Labels": many}}));
        assert_eq!((seen.labels.as_map().len(), seen.labels.get("ERU")), (LABELS_LEN_MAX, Some("1")));
    }

    #[test]
    fn ended_ones() {
        let ended = |code: i32, more: serde_json::Value| {
            let mut change = json!({"State": {"Status": "exited", "ExitCode": code, "Pid": 0, "FinishedAt": "2026-11-24T18:30:41.5Z"}});
            merge(&mut change, more);
            of(change)
        };
        let exit = |seen: &Inspection| seen.exit.map(|e| (e.code, e.signal, e.oom_killed, e.at_ms)).unwrap();
        let killed = ended(137, json!({"State": {"OOMKilled": true}}));
        assert_eq!(exit(&killed), (137, 9, true, 1_795_545_041_500));
        assert!(
            killed.reason.contains("memory")
                && killed.networks.is_empty()
                && killed.pid == 0
                && killed.probe_address.is_none()
        );
        let at_once = ended(0, json!({"State": {"FinishedAt": "2026-11-24T18:30:40.3Z"}}));
        assert_eq!(exit(&at_once).3, at_once.started_at_ms);
        assert_eq!(exit(&ended(3, json!({}))).1, 0);
        assert_eq!(exit(&ended(128, json!({}))).1, 0);
        assert_eq!(exit(&ended(255, json!({}))).1, 0);
        let waiting = ended(1, json!({"State": {"Status": "restarting"}}));
        assert_eq!((waiting.state, waiting.restarts), (State::Exited, 1));
        assert_eq!(ended(1, json!({"State": {"Status": "some-new-word"}})).state, State::Exited);
    }

    #[test]
    fn never_started_and_could_not_be() {
        let never =
            json!({"State": {"Status": "created", "Pid": 0, "StartedAt": "0001-01-01T00:00:00Z"}, "RestartCount": 0});
        let seen = of(never.clone());
        assert_eq!((seen.state, seen.exit, seen.started_at_ms), (State::Created, None, 0));
        let mut failed = never;
        merge(
            &mut failed,
            json!({"State": {"ExitCode": 128, "Error": "unable to find user nobody: no matching entries in passwd file"}}),
        );
        let seen = of(failed);
        assert_eq!(
            (seen.state, seen.exit.unwrap().code, seen.exit.unwrap().at_ms),
            (State::Exited, 127, 1_795_545_040_144)
        );
        assert!(seen.reason.contains("does not know user \"nobody\""));
    }

    #[test]
    fn what_is_no_workload_is_left_out() {
        for text in [r#"{"Id":"a","Name":"/web"}"#, r#"{"Id":"","Name":"/a_b_cdefgh"}"#, "{}"] {
            assert!(serde_json::from_str::<Container>(text).unwrap().inspection(HOST_ADDRESS).is_none(), "{text}");
        }
    }
}
