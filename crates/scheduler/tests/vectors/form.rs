//! The form of the rows.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Bytes, as a number or as `"4GiB"`.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(try_from = "serde_json::Value")]
pub struct Bytes(pub i64);

impl TryFrom<serde_json::Value> for Bytes {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        if let Some(number) = value.as_i64() {
            return Ok(Self(number));
        }
        let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];
        let text = value.as_str().unwrap_or_default();
        units
            .iter()
            .find_map(|(unit, bits)| text.strip_suffix(unit)?.trim().parse::<i64>().ok().map(|n| Self(n << bits)))
            .ok_or_else(|| format!("must be a number of bytes, or like \"4GiB\", got {value}"))
    }
}

/// Core to pieces, as a map or as `"24x100"`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub struct Cores(pub BTreeMap<String, i64>);

impl TryFrom<serde_json::Value> for Cores {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        if let Some((cores, pieces)) = value.as_str().and_then(|text| text.split_once('x')) {
            let (Ok(cores), Ok(pieces)) = (cores.parse::<u32>(), pieces.parse()) else {
                return Err(format!("cores must be a map, or like \"24x100\", got {value}"));
            };
            return Ok(Self((0..cores).map(|core| (core.to_string(), pieces)).collect()));
        }
        serde_json::from_value(value).map(Self).map_err(|error| error.to_string())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyRow {
    pub strategy: String,
    pub capacities: Vec<u64>,
    #[serde(default)]
    pub counts: Vec<u64>,
    #[serde(default)]
    pub usages: Vec<f64>,
    #[serde(default)]
    pub rates: Vec<f64>,
    pub need: u32,
    #[serde(default)]
    pub limit: u32,
    pub expect: StrategyExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyExpect {
    pub added: Option<Vec<u64>>,
    pub finals: Option<Vec<u64>>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRow {
    pub name: Option<String>,
    pub cores: Option<Cores>,
    /// What is left of the cores; without it, all.
    pub cores_free: Option<Cores>,
    #[serde(default)]
    pub numa: BTreeMap<String, String>,
    #[serde(default)]
    pub numa_memory: BTreeMap<String, Bytes>,
    pub memory: Option<Bytes>,
    pub memory_free: Option<Bytes>,
    pub storage: Option<Bytes>,
    #[serde(default)]
    pub volumes: BTreeMap<String, Bytes>,
    /// What is left of the devices; without it, all.
    #[serde(default)]
    pub volumes_free: BTreeMap<String, Bytes>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    pub state: Option<String>,
    #[serde(default)]
    pub count: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRow {
    pub strategy: Option<String>,
    #[serde(default = "one")]
    pub count: u32,
    #[serde(default)]
    pub limit: u32,
    #[serde(default)]
    pub max_per_node: u32,
    #[serde(default)]
    pub spread: String,
    #[serde(default)]
    pub cpu: f64,
    #[serde(default)]
    pub cpu_limit: f64,
    #[serde(default)]
    pub bind: bool,
    pub memory: Option<Bytes>,
    pub memory_limit: Option<Bytes>,
    pub storage: Option<Bytes>,
    #[serde(default)]
    pub volumes: Vec<String>,
    #[serde(default)]
    pub volumes_limit: Vec<String>,
    pub base: Option<u32>,
    pub maxshare: Option<i64>,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRow {
    pub nodes: Vec<NodeRow>,
    /// Placed before, one after the other.
    #[serde(default)]
    pub before: Vec<RequestRow>,
    pub request: RequestRow,
    pub expect: PlanExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanExpect {
    pub counts: Option<BTreeMap<String, u32>>,
    /// Least and most instances of every node.
    pub each: Option<[u32; 2]>,
    pub total: Option<u64>,
    pub capacities: Option<BTreeMap<String, u64>>,
    pub capacity: Option<u64>,
    /// Of each instance, in any order.
    pub cores: Option<Vec<BTreeMap<String, u32>>>,
    pub numa: Option<Vec<String>>,
    pub volumes: Option<Vec<BTreeMap<String, BTreeMap<String, u64>>>>,
    pub volumes_limit: Option<Vec<BTreeMap<String, BTreeMap<String, u64>>>>,
    /// Of the first node, afterwards.
    pub cores_free: Option<BTreeMap<String, i32>>,
    pub volumes_free: Option<BTreeMap<String, i64>>,
    pub error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepRow {
    pub held: BTreeMap<u32, u32>,
    pub free: BTreeMap<u32, i32>,
    pub cores: f64,
    pub expect: KeepExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepExpect {
    pub kept: BTreeMap<u32, u32>,
    pub missing: u64,
    pub free: BTreeMap<u32, i32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReallocRow {
    pub node: NodeRow,
    pub held: HeldRow,
    pub change: ChangeRow,
    pub expect: ReallocExpect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldRow {
    #[serde(default)]
    pub cpu: f64,
    pub memory: Option<Bytes>,
    #[serde(default)]
    pub cores: BTreeMap<String, u32>,
    #[serde(default)]
    pub numa: String,
    /// Volume to its device.
    #[serde(default)]
    pub volumes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRow {
    #[serde(default)]
    pub cpu: f64,
    pub memory: Option<Bytes>,
    pub bind: Option<bool>,
    #[serde(default)]
    pub volumes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReallocExpect {
    pub cores: Option<BTreeMap<String, u32>>,
    pub numa: Option<String>,
    pub volumes: Option<BTreeMap<String, BTreeMap<String, u64>>>,
    pub error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeRow {
    pub volume: String,
    pub expect: TextExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextExpect {
    pub is: Option<String>,
    pub error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandRow {
    pub request: RequestRow,
    pub expect: DemandExpect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandExpect {
    /// Request and limit.
    pub cpu: Option<[f64; 2]>,
    pub memory: Option<[u64; 2]>,
    pub storage: Option<[u64; 2]>,
    pub volumes: Option<Vec<String>>,
    pub volumes_limit: Option<Vec<String>>,
    pub error: Option<String>,
}
