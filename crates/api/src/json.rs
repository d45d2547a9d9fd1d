//! The JSON form of messages, which is the one that the original's command line prints.
//!
//! Fields keep their proto names; zero values are left out; `bytes` are base64 with padding; enums and 64-bit integers
//! are numbers; a double that is a whole number is written without a fraction. `build.rs` puts these functions on the
//! fields.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Serialize, Serializer};

/// Doubles up to here hold every whole number exactly: 2 to the power of 53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Says whether a field holds its zero value and is left out.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes bytes as a base64 string.
///
/// # Errors
/// Those of the serializer.
pub fn base64<S: Serializer>(value: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    Base64(value).serialize(serializer)
}

/// Writes a map whose values are bytes as a map of base64 strings.
///
/// # Errors
/// Those of the serializer.
pub fn base64_map<S: Serializer>(map: &BTreeMap<String, Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().map(|(key, value)| (key, Base64(value))))
}

/// Writes a double, without a fraction if it has none. NaN and the infinities become null.
///
/// # Errors
/// Those of the serializer.
pub fn double<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() <= WHOLE_MAX {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

struct Base64<'a>(&'a Bytes);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{controller, pb};

    fn check(message: impl serde::Serialize, expected: Value) {
        assert_eq!(serde_json::to_value(message).unwrap(), expected);
    }

    #[test]
    fn zero_values_are_left_out() {
        check(pb::WorkloadStatus::default(), json!({}));
        check(pb::DeployOptions::default(), json!({}));
        check(controller::ReplicaSet::default(), json!({}));
        check(pb::Pod { name: "testpod".into(), desc: String::new() }, json!({"name": "testpod"}));
        check(
            pb::Pod { name: "testpod".into(), desc: "for tests".into() },
            json!({"name": "testpod", "desc": "for tests"}),
        );
    }

    #[test]
    fn a_message_that_is_set_but_empty_stays() {
        check(
            pb::Workload { status: Some(pb::WorkloadStatus::default()), ..Default::default() },
            json!({"status": {}}),
        );
    }

    #[test]
    fn values_in_maps_and_lists_stay() {
        check(
            pb::Node { cpu: [("0".into(), 0), ("1".into(), 100)].into(), ..Default::default() },
            json!({"cpu": {"0": 0, "1": 100}}),
        );
        check(pb::CopyPaths { paths: vec![String::new()] }, json!({"paths": [""]}));
    }

    #[test]
    fn bytes_are_base64() {
        check(
            pb::WorkloadStatus { extension: r#"{"ERU":"1"}"#.into(), ..Default::default() },
            json!({"extension": "eyJFUlUiOiIxIn0="}),
        );
        check(
            pb::SendOptions {
                data: [("/etc/a".into(), "ab".into()), ("/etc/b".into(), "".into())].into(),
                ..Default::default()
            },
            json!({"data": {"/etc/a": "YWI=", "/etc/b": ""}}),
        );
    }

    #[test]
    fn numbers_are_numbers() {
        let quota =
            |cpu_quota_limit| serde_json::to_string(&pb::Resource { cpu_quota_limit, ..Default::default() }).unwrap();
        assert_eq!(quota(1.0), r#"{"cpu_quota_limit":1}"#);
        assert_eq!(quota(0.2), r#"{"cpu_quota_limit":0.2}"#);
        assert_eq!(quota(-1.5), r#"{"cpu_quota_limit":-1.5}"#);
        assert_eq!(quota(0.0), "{}");
        assert_eq!(quota(f64::NAN), r#"{"cpu_quota_limit":null}"#);
        check(pb::Resource { memory_limit: i64::MAX, ..Default::default() }, json!({"memory_limit": i64::MAX}));
        check(
            pb::DeployOptions { deploy_strategy: pb::deploy_options::Strategy::Fill as i32, ..Default::default() },
            json!({"deploy_strategy": 1}),
        );
        check(
            pb::AttachWorkloadMessage { std_stream_type: pb::StdStreamType::Eruerror as i32, ..Default::default() },
            json!({"std_stream_type": -1}),
        );
    }

    #[test]
    fn names_are_those_of_the_proto_file() {
        check(
            pb::ReplaceOptions { deploy_opt: Some(pb::DeployOptions::default()), ..Default::default() },
            json!({"deployOpt": {}}),
        );
        check(pb::Engine { r#type: "docker".into() }, json!({"type": "docker"}));
        check(pb::RunAndWaitOptions { r#async: true, ..Default::default() }, json!({"async": true}));
        check(pb::WorkloadStatusStreamMessage { delete: true, ..Default::default() }, json!({"delete": true}));
    }
}
