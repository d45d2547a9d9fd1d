//! One simulated workload.

use super::{files::FakeFile, script::Script};
use crate::{
    clock::now_ms,
    port::{CreateRequest, Inspection, LogLine, RuntimeKind, State, Stream},
    reason::one_line,
    restart::RestartPolicy,
};
use bytes::Bytes;
use eru_types::{EngineId, ExitStatus};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    net::Ipv4Addr,
};

/// The network that a simulated workload is in when none was asked for.
pub(super) const NETWORK: &str = "fake";
/// Lines of output kept for one workload: enough for tests, and 10 000 workloads stay small.
const LINES_LEN_MAX: usize = 1_000;

/// What is kept of a workload. Its output is not written to the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: EngineId,
    pub(super) request: CreateRequest,
    pub(super) address: Ipv4Addr,
    pub(super) state: State,
    pub(super) exit: Option<ExitStatus>,
    pub(super) restarts: u32,
    pub(super) started_at_ms: i64,
    pub(super) reason: String,
    #[serde(skip)]
    pub(super) lines: VecDeque<LogLine>,
    /// How many lines were dropped from the front, so that a reader's position stays right.
    #[serde(skip)]
    pub(super) lines_dropped: usize,
    /// How many of the last lines those who follow it do not get.
    #[serde(skip)]
    pub(super) late_len: usize,
    /// What was put into it, by absolute path.
    #[serde(skip)]
    pub(super) files: BTreeMap<String, FakeFile>,
}

impl Record {
    pub(super) fn new(id: EngineId, request: CreateRequest, address: Ipv4Addr) -> Self {
        Self {
            id,
            request,
            address,
            state: State::Created,
            exit: None,
            restarts: 0,
            started_at_ms: 0,
            reason: String::new(),
            lines: VecDeque::new(),
            lines_dropped: 0,
            late_len: 0,
            files: BTreeMap::new(),
        }
    }

    pub(super) fn policy(&self) -> RestartPolicy {
        // The text was parsed when the workload was created.
        self.request.restart.parse().unwrap_or_default()
    }

    pub(super) fn run(&mut self, script: &Script) {
        self.state = State::Running;
        self.exit = None;
        self.reason.clear();
        self.started_at_ms = now_ms();
        for (stream, text) in &script.lines {
            self.write(*stream, Bytes::from(text.clone()), false);
        }
        for text in &script.late {
            self.write(Stream::Stdout, Bytes::from(text.clone()), false);
        }
        self.late_len = script.late.len();
    }

    pub(super) fn write(&mut self, stream: Stream, data: Bytes, partial: bool) {
        if self.lines.len() == LINES_LEN_MAX {
            self.lines.pop_front();
            self.lines_dropped += 1;
        }
        self.lines.push_back(LogLine { at_ms: now_ms(), stream, data, partial });
    }

    /// Ends it. Without a reason of its own, what it said last on standard error is the reason.
    pub(super) fn end(&mut self, code: i32, signal: i32, reason: &str) {
        self.state = State::Exited;
        self.exit = Some(ExitStatus { code, signal, oom_killed: false, at_ms: now_ms() });
        self.reason = one_line(reason);
        if self.reason.is_empty() && code != 0 {
            let last = self.lines.iter().rev().find(|l| l.stream == Stream::Stderr);
            self.reason = last.map(|l| one_line(&String::from_utf8_lossy(&l.data))).unwrap_or_default();
        }
    }

    pub(super) fn inspection(&self) -> Inspection {
        let running = self.state == State::Running;
        Inspection {
            id: self.id.clone(),
            name: self.request.name.clone(),
            labels: self.request.labels.clone(),
            state: self.state,
            networks: if running { self.networks() } else { BTreeMap::new() },
            probe_address: None,
            exit: self.exit,
            restarts: self.restarts,
            started_at_ms: self.started_at_ms,
            reason: self.reason.clone(),
            pid: 0,
            isolation: RuntimeKind::Fake.isolation().to_owned(),
        }
    }

    /// Network name to address, when it runs.
    pub(super) fn networks(&self) -> BTreeMap<String, String> {
        let own = self.address.to_string();
        let mut networks: BTreeMap<_, _> = self
            .request
            .networks
            .iter()
            .map(|(name, wanted)| match name.as_str() {
                "" | "host" => (NETWORK.to_owned(), own.clone()),
                _ if wanted.is_empty() => (name.clone(), own.clone()),
                _ => (name.clone(), wanted.clone()),
            })
            .collect();
        if networks.is_empty() {
            networks.insert(NETWORK.to_owned(), own);
        }
        networks
    }
}
