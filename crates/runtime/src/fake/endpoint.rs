//! `fake://NAME?cores=..`: the options of a simulated engine and their spelling as an endpoint.

use eru_types::{NodeName, name::excerpt};
use std::{collections::BTreeMap, time::Duration};

/// The longest latency that an endpoint may ask for, in milliseconds: more would look like a hang, which `down=1` is for.
const LATENCY_MS_MAX: u64 = 600_000;
/// The most cores and bytes of one engine; generous, and far from where sums overflow.
const CORES_MAX: u64 = 65_536;
const BYTES_MAX: u64 = 1 << 60;

/// The operations that can be slowed down or made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `info` and `ping`.
    Ping,
    /// `create`.
    Create,
    /// `start`.
    Start,
    /// `stop`.
    Stop,
    /// `remove`.
    Remove,
    /// `inspect`, `find` and `list`.
    Inspect,
    /// `exec` and `attach`.
    Exec,
    /// `send_files` and `copy_from`.
    Files,
    /// Everything about images but `pull`.
    Images,
    /// `pull`.
    Pull,
    /// Everything about networks.
    Networks,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Ping,
        Self::Create,
        Self::Start,
        Self::Stop,
        Self::Remove,
        Self::Inspect,
        Self::Exec,
        Self::Files,
        Self::Images,
        Self::Pull,
        Self::Networks,
    ];

    /// Its word in endpoints and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Create => "create",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Remove => "remove",
            Self::Inspect => "inspect",
            Self::Exec => "exec",
            Self::Files => "files",
            Self::Images => "images",
            Self::Pull => "pull",
            Self::Networks => "networks",
        }
    }
}

/// What can be turned while an engine lives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Knobs {
    /// How long an operation takes before it does anything.
    pub latency: BTreeMap<Operation, Duration>,
    /// How many of the next calls of an operation fail.
    pub failures: BTreeMap<Operation, u64>,
    /// Whether no call is answered.
    pub down: bool,
}

/// What a simulated engine is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeOptions {
    /// Its name.
    pub name: NodeName,
    /// Cores of the machine.
    pub cores: u32,
    /// Memory of the machine, in bytes.
    pub memory_bytes: u64,
    /// Storage of the machine, in bytes; 0 = unknown.
    pub storage_bytes: u64,
    /// Whether the engine still answers when the node's agent is silent. Otherwise silence means a dead machine.
    pub engine_stays: bool,
    /// Latencies and faults.
    pub knobs: Knobs,
}

/// Why an endpoint was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("endpoint \"{}\": {cause}", excerpt(.endpoint))]
pub struct EndpointError {
    endpoint: String,
    cause: String,
}

impl FakeOptions {
    /// The scheme of its endpoints.
    pub const SCHEME: &'static str = "fake://";

    /// An engine of that name: 8 cores, 32 GiB of memory, 1 TiB of storage, prompt and without faults.
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            cores: 8,
            memory_bytes: 32 << 30,
            storage_bytes: 1 << 40,
            engine_stays: false,
            knobs: Knobs::default(),
        }
    }

    /// Reads `fake://NAME?key=value&..`. The keys are `cores`, `memory` and `storage` (bytes, or with `K`, `M`, `G`, `T`),
    /// `engine` (`stays` or `dies`), `down` (`0` or `1`), and for each [`Operation`] its latency `create_ms` and the number of
    /// calls that fail, `create_fail`.
    ///
    /// # Errors
    /// [`EndpointError`] that quotes the endpoint and names the key.
    pub fn parse(endpoint: &str) -> Result<Self, EndpointError> {
        Self::parse_parts(endpoint).map_err(|cause| EndpointError { endpoint: endpoint.to_owned(), cause })
    }

    fn parse_parts(endpoint: &str) -> Result<Self, String> {
        let rest = endpoint.strip_prefix(Self::SCHEME).ok_or("must begin with fake://")?;
        let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut options = Self::new(NodeName::new(name.trim_end_matches('/')).map_err(|e| e.to_string())?);
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("\"{}\" is not key=value", excerpt(pair)))?;
            if seen.contains(&key) {
                return Err(format!("{} is given twice", excerpt(key)));
            }
            seen.push(key);
            options.set(key, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let of = |suffix: &str| {
            let word = key.strip_suffix(suffix)?;
            Operation::ALL.into_iter().find(|o| o.as_str() == word)
        };
        match key {
            "cores" => {
                self.cores = number(key, value, 1, CORES_MAX)?.try_into().expect("65536 fits 32 bits");
            }
            "memory" => self.memory_bytes = bytes(key, value)?,
            "storage" => self.storage_bytes = bytes(key, value)?,
            "engine" => self.engine_stays = word(key, value, [("dies", false), ("stays", true)])?,
            "down" => self.knobs.down = word(key, value, [("0", false), ("1", true)])?,
            _ => {
                if let Some(operation) = of("_ms") {
                    let latency = Duration::from_millis(number(key, value, 0, LATENCY_MS_MAX)?);
                    self.knobs.latency.insert(operation, latency);
                } else if let Some(operation) = of("_fail") {
                    self.knobs.failures.insert(operation, number(key, value, 0, u64::MAX)?);
                } else {
                    return Err(format!(
                        "unknown key \"{}\": cores, memory, storage, engine, down, or one of {} with _ms or _fail",
                        excerpt(key),
                        Operation::ALL.map(Operation::as_str).join(", ")
                    ));
                }
            }
        }
        Ok(())
    }
}

fn number(key: &str, value: &str, min: u64, max: u64) -> Result<u64, String> {
    value
        .parse()
        .ok()
        .filter(|n| (min..=max).contains(n))
        .ok_or_else(|| format!("{key} must be a number from {min} to {max}, got \"{}\"", excerpt(value)))
}

fn bytes(key: &str, value: &str) -> Result<u64, String> {
    let (digits, shift) = match value.as_bytes().last() {
        Some(b'K' | b'k') => (&value[..value.len() - 1], 10),
        Some(b'M' | b'm') => (&value[..value.len() - 1], 20),
        Some(b'G' | b'g') => (&value[..value.len() - 1], 30),
        Some(b'T' | b't') => (&value[..value.len() - 1], 40),
        _ => (value, 0),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(1 << shift))
        .filter(|n| *n <= BYTES_MAX)
        .ok_or_else(|| format!("{key} must be a number of bytes such as 4096 or 32G, got \"{}\"", excerpt(value)))
}

fn word(key: &str, value: &str, words: [(&str, bool); 2]) -> Result<bool, String> {
    words
        .into_iter()
        .find(|(w, _)| *w == value)
        .map(|(_, is)| is)
        .ok_or_else(|| format!("{key} must be {} or {}, got \"{}\"", words[0].0, words[1].0, excerpt(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_parse() {
        let o = FakeOptions::parse("fake://n1?cores=4&memory=2G&engine=stays&create_ms=3&start_fail=2&down=1").unwrap();
        assert_eq!((o.name.as_str(), o.cores, o.memory_bytes, o.engine_stays), ("n1", 4, 2 << 30, true));
        assert_eq!(o.knobs.latency[&Operation::Create], Duration::from_millis(3));
        assert_eq!(o.knobs.failures[&Operation::Start], 2);
        assert!(o.knobs.down);
        assert_eq!(FakeOptions::parse("fake://n1").unwrap(), FakeOptions::new(NodeName::new("n1").unwrap()));
    }

    #[test]
    fn bad_endpoints_name_what_is_wrong() {
        for (endpoint, part) in [
            ("unix:///x", "must begin with fake://"),
            ("fake://", "node name is empty"),
            ("fake://../x", "node name must be"),
            ("fake://n?cores=0", "cores must be a number from 1 to 65536, got \"0\""),
            ("fake://n?cores=-1", "got \"-1\""),
            ("fake://n?memory=lots", "memory must be a number of bytes"),
            ("fake://n?memory=99999999T", "memory must be"),
            ("fake://n?memory=é", "memory must be"),
            ("fake://n?engine=maybe", "engine must be dies or stays"),
            ("fake://n?create_ms=1h", "create_ms must be a number from 0 to 600000"),
            ("fake://n?create", "\"create\" is not key=value"),
            ("fake://n?colour=red", "unknown key \"colour\""),
            ("fake://n?cores=1&cores=2", "cores is given twice"),
        ] {
            let text = FakeOptions::parse(endpoint).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }
}
