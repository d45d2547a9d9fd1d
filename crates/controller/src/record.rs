//! What the controller stores: JSON with a version. Fields that this build does not know survive a rewrite.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eru_api::controller::ReplicaSetSpec;
use eru_reconcile::{Slot, Strategy};
use prost::Message as _;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The version that this build writes.
const VERSION: u32 = 1;

/// A set, but for what its instances are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetRecord {
    /// Name of the set.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Raised by each change.
    pub generation: u64,
    /// The generation in which what its instances are made of changed last.
    pub template_generation: u64,
    /// Instances wanted.
    pub count: u32,
    /// How it behaves.
    pub strategy: Strategy,
    /// It is being removed.
    #[serde(default)]
    pub removing: bool,
    /// When it was created, Unix milliseconds.
    pub created_at_ms: i64,
    /// What newer builds know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What the instances of one generation are made of. Written once, never rewritten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecRecord {
    /// The message, with everything that the client sent.
    #[serde(serialize_with = "as_base64", deserialize_with = "from_base64")]
    pub spec: ReplicaSetSpec,
}

/// What is known to work of a set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgressRecord {
    /// The last generation that had all its instances healthy.
    pub stable_generation: u64,
    /// What newer builds know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What is remembered of one slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotRecord {
    /// The slot.
    #[serde(flatten)]
    pub slot: Slot,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    version: u32,
    #[serde(flatten)]
    record: &'a T,
}

/// The record as it is stored.
///
/// # Errors
/// Never for the records of this module; serde's words otherwise.
pub fn encode<T: Serialize>(record: &T) -> Result<Bytes, String> {
    serde_json::to_vec(&Versioned { version: VERSION, record }).map(Bytes::from).map_err(|error| error.to_string())
}

/// The record that was stored.
///
/// # Errors
/// What is wrong with it, in one sentence.
pub fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    let mut fields: Map<String, Value> = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    match fields.remove("version").and_then(|version| version.as_u64()) {
        Some(version) if version >= 1 && version <= u64::from(VERSION) => {}
        Some(version) => return Err(format!("version {version} is newer than this build's {VERSION}")),
        None => return Err("it has no version".to_owned()),
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())
}

fn as_base64<S: Serializer>(spec: &ReplicaSetSpec, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(spec.encode_to_vec()))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ReplicaSetSpec, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
    ReplicaSetSpec::decode(&bytes[..]).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_reconcile::{Intent, Millis};

    fn set() -> SetRecord {
        SetRecord {
            name: "web".into(),
            uid: "0123456789abcdef".into(),
            generation: 3,
            template_generation: 2,
            count: 3,
            strategy: Strategy::default(),
            removing: false,
            created_at_ms: 1,
            other: Map::new(),
        }
    }

    #[test]
    fn records_survive() {
        assert_eq!(decode::<SetRecord>(&encode(&set()).unwrap()), Ok(set()));
        let spec = SpecRecord { spec: ReplicaSetSpec { name: "web".into(), count: 3, ..Default::default() } };
        assert_eq!(decode::<SpecRecord>(&encode(&spec).unwrap()), Ok(spec));
        let intent = Intent { op_id: "op".into(), epoch: 7, generation: 2, sent_at: Millis(9) };
        let slot = SlotRecord { slot: Slot { slot: 4, epoch: 7, intent: Some(intent), ..Slot::default() } };
        assert_eq!(decode::<SlotRecord>(&encode(&slot).unwrap()), Ok(slot));
    }

    #[test]
    fn unknown_fields_survive_a_rewrite() {
        let mut value: Map<String, Value> = serde_json::from_slice(&encode(&set()).unwrap()).unwrap();
        value.insert("colour".into(), "red".into());
        let bytes = serde_json::to_vec(&value).unwrap();
        let record: SetRecord = decode(&bytes).unwrap();
        let again: Map<String, Value> = serde_json::from_slice(&encode(&record).unwrap()).unwrap();
        assert_eq!(again.get("colour"), Some(&Value::from("red")));
    }

    #[test]
    fn what_is_not_ours_is_refused_in_words() {
        let bad = |text: &str| decode::<SetRecord>(text.as_bytes()).unwrap_err();
        assert!(bad("").contains("EOF"));
        assert_eq!(bad("{}"), "it has no version");
        assert_eq!(bad(r#"{"version":2}"#), "version 2 is newer than this build's 1");
        assert!(bad(r#"{"version":1}"#).contains("missing field"));
        assert!(bad("[1]").contains("invalid type"));
    }
}
