//! Values as Go prints them, which is what scripts around the original expect in cells and log lines.

use eru_api::pb;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

/// A float in its shortest form: `0.2`, `1`.
pub fn float(value: f64) -> String {
    value.to_string()
}

/// A map: `map[a:1 b:2]`.
pub fn map<V: Display>(values: &BTreeMap<String, V>) -> String {
    let pairs: Vec<String> = values.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("map[{}]", pairs.join(" "))
}

/// A list: `[a b]`.
pub fn list(values: &[String]) -> String {
    format!("[{}]", values.join(" "))
}

/// Where volumes are: `map[AUTO:/data:rw:10:volume:{key:"/data0" value:10}]`.
pub fn volume_plan(plan: &BTreeMap<String, pb::Volume>) -> String {
    let volumes = |volume: &pb::Volume| {
        let mut text = String::new();
        for (device, bytes) in &volume.volume {
            let blank = if text.is_empty() { "" } else { " " };
            let _ = write!(text, "{blank}volume:{{key:\"{device}\" value:{bytes}}}");
        }
        text
    };
    map(&plan.iter().map(|(key, volume)| (key.clone(), volumes(volume))).collect())
}
