//! Values of options: what they look like and what is wrong with them.

use crate::error::CliError;
use eru_api::pb::deploy_options::Strategy;
use eru_config::ByteSize;
use eru_types::labels::{LABEL_KEY_BYTES_MAX, Labels};
use eru_types::limits::DEPLOY_COUNT_MAX;
use eru_types::name::excerpt;
use eru_types::spec::{EnvVar, NetworkChoice};
use eru_types::{EntrypointName, volume::Volume};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The least processor time that a kernel can give out, in cores.
const CORES_MIN: f64 = 0.01;
/// The most, see [`eru_types::CpuQuota::CORES_MAX`].
const CORES_MAX: f64 = eru_types::CpuQuota::CORES_MAX;

/// A number of instances.
pub(crate) fn count(text: &str) -> Result<i32, String> {
    whole(text, 1, i64::from(DEPLOY_COUNT_MAX)).map(|n| n as i32)
}

/// A number of instances of a set, which may be none.
pub(crate) fn set_count(text: &str) -> Result<i32, String> {
    whole(text, 0, i64::from(DEPLOY_COUNT_MAX)).map(|n| n as i32)
}

/// A number of things, 0 for no limit.
pub(crate) fn limit(text: &str) -> Result<i32, String> {
    whole(text, 0, i64::from(i32::MAX)).map(|n| n as i32)
}

/// A number of seconds, 0 for none; the longest is ten years.
pub(crate) fn seconds(text: &str) -> Result<i64, String> {
    whole(text, 0, 315_360_000)
}

/// How long a node's report counts, seconds; -1 is good-bye.
pub(crate) fn node_ttl(text: &str) -> Result<i64, String> {
    match whole(text, -1, 315_360_000)? {
        0 => Err("must be above 0 seconds, or -1 for good-bye, got \"0\"".into()),
        seconds => Ok(seconds),
    }
}

/// An IP address.
pub(crate) fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("must be an IP address, got \"{}\"", excerpt(text)))
}

fn whole(text: &str, min: i64, max: i64) -> Result<i64, String> {
    let number = text.parse().ok().filter(|n| (min..=max).contains(n) && !text.starts_with('+'));
    number.ok_or_else(|| format!("must be a whole number from {min} to {max}, got \"{}\"", excerpt(text)))
}

/// The name of an entrypoint.
pub(crate) fn entry(text: &str) -> Result<EntrypointName, String> {
    if text.contains('_') {
        return Err(format!("entry can not contain _, got \"{}\"", excerpt(text)));
    }
    text.parse().map_err(|error: eru_types::NameError| error.to_string())
}

/// The name of an image; may be empty.
pub(crate) fn image(text: &str) -> Result<String, String> {
    let bad = text.chars().any(|c| c.is_whitespace() || c.is_control());
    if bad { Err(format!("must be an image name, got \"{}\"", excerpt(text))) } else { Ok(text.to_owned()) }
}

/// The name of an image that must be given.
pub(crate) fn some_image(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("must be an image name, got \"\"".into()) } else { image(text) }
}

/// How instances are spread over nodes.
pub(crate) fn strategy(text: &str) -> Result<Strategy, String> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(Strategy::Auto),
        "fill" => Ok(Strategy::Fill),
        "each" => Ok(Strategy::Each),
        "global" => Ok(Strategy::Global),
        "drained" => Ok(Strategy::Drained),
        _ => Err(format!("unknown strategy \"{}\" (auto, fill, each, global, drained)", excerpt(text))),
    }
}

/// The key of a label; may be empty.
pub(crate) fn label_key(text: &str) -> Result<String, String> {
    if !text.is_empty() && Labels::new([(text.to_owned(), String::new())].into()).is_err() {
        return Err(format!(
            "must be the key of a label, such as zone (1 to {LABEL_KEY_BYTES_MAX} printable characters without '='), got \"{}\"",
            excerpt(text)
        ));
    }
    Ok(text.to_owned())
}

/// An absolute path.
pub(crate) fn absolute(text: &str) -> Result<String, String> {
    let good = text.starts_with('/') && !text.contains('\0');
    if good { Ok(text.to_owned()) } else { Err(format!("must be an absolute path, got \"{}\"", excerpt(text))) }
}

/// A name that the engine gives meaning to, of a network or a driver.
pub(crate) fn word(text: &str) -> Result<String, String> {
    let bad = text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control());
    if bad { Err(format!("must be a name without blanks, got \"{}\"", excerpt(text))) } else { Ok(text.to_owned()) }
}

/// A volume, whose size may be written as `10G`.
pub(crate) fn volume(text: &str) -> Result<Volume, String> {
    eru_config::spec::volume(text)
}

/// Settings that only the engine knows: JSON, as it is. Empty is none.
pub(crate) fn raw_args(text: &str) -> Result<String, String> {
    if !text.is_empty() {
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| format!("not JSON: {error}"))?;
    }
    Ok(text.to_owned())
}

/// A number of bytes, `512M`. Empty is 0.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse::<ByteSize>().map(ByteSize::wire).map_err(|error| error.to_string())
}

/// A number of bytes to add or, with a minus, to take.
pub(crate) fn signed_bytes(text: &str) -> Result<i64, String> {
    match text.strip_prefix('-') {
        Some(rest) if !rest.is_empty() => bytes(rest).map(|n| -n).map_err(|_| not_a_size(text)),
        _ => bytes(text),
    }
}

fn not_a_size(text: &str) -> String {
    format!("not a size, got \"{}\" (number + B, K, M, G, T, P; at most 8 EiB)", excerpt(text))
}

/// A number of cores.
pub(crate) fn cores(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| *n == 0.0 || (CORES_MIN..=CORES_MAX).contains(n));
    number.map(f64::abs).ok_or_else(|| format!("must be 0 or between 0.01 and 4096 cores, got \"{}\"", excerpt(text)))
}

/// `KEY=VALUE` pairs of a repeatable option.
pub(crate) fn pairs(option: &str, items: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let mut map = BTreeMap::new();
    for item in items {
        let (key, value) = match item.split_once('=') {
            Some(("", _)) => return Err(usage(format!("{option}: expected KEY=VALUE, got \"{}\"", excerpt(item)))),
            Some(pair) => pair,
            None => return Err(usage(format!("{option}: key \"{}\" has no value", excerpt(item)))),
        };
        if map.insert(key.to_owned(), value.to_owned()).is_some_and(|before| before != value) {
            let key = excerpt(key);
            return Err(usage(format!("{option}: key \"{key}\" is given twice with different values")));
        }
    }
    Ok(map)
}

/// `NAME=VALUE` variables of a repeatable option.
pub(crate) fn env(option: &str, items: &[String]) -> Result<Vec<EnvVar>, CliError> {
    let parse = |(item, position): (&String, usize)| {
        item.parse().map_err(|error| usage(format!("{option} item {position}: {error}")))
    };
    items.iter().zip(1..).map(parse).collect()
}

/// Networks, `NAME` or `NAME=ADDRESS` each, as the wire has them. An empty one is none.
pub(crate) fn networks(option: &str, items: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let mut map = BTreeMap::new();
    for item in items.iter().filter(|item| !item.is_empty()) {
        let choice: NetworkChoice = item.parse().map_err(|error| usage(format!("{option}: {error}")))?;
        if map.insert(choice.name.clone(), address_of(&choice)).is_some() {
            return Err(usage(format!("{option}: network \"{}\" is given twice", excerpt(&choice.name))));
        }
    }
    Ok(map)
}

/// A network as the wire has it.
pub(crate) fn networks_of(choice: &NetworkChoice) -> BTreeMap<String, String> {
    BTreeMap::from([(choice.name.clone(), address_of(choice))])
}

fn address_of(choice: &NetworkChoice) -> String {
    choice.address.map(|address| address.to_string()).unwrap_or_default()
}

/// `DEVICE:SIZE` pairs separated by commas; a size may have a minus.
pub(crate) fn devices(option: &str, text: &str) -> Result<BTreeMap<String, i64>, CliError> {
    let mut map = BTreeMap::new();
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let bad = |why: String| usage(format!("{option}: {why}"));
        let (device, size) = item
            .rsplit_once(':')
            .filter(|(device, _)| device.starts_with('/'))
            .ok_or_else(|| bad(format!("expected /DEVICE:SIZE, got \"{}\"", excerpt(item))))?;
        map.insert(device.to_owned(), signed_bytes(size).map_err(bad)?);
    }
    Ok(map)
}

/// `CORE:PIECES` pairs separated by commas; pieces may have a minus.
pub(crate) fn core_shares(option: &str, text: &str) -> Result<BTreeMap<String, i32>, CliError> {
    let mut map = BTreeMap::new();
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let pair = item.split_once(':').filter(|(core, _)| core_number(core)).and_then(|(core, pieces)| {
            let pieces = pieces.parse::<i32>().ok().filter(|n| n.unsigned_abs() <= 1_000_000)?;
            Some((core.to_owned(), pieces))
        });
        let (core, pieces) =
            pair.ok_or_else(|| usage(format!("{option}: expected CORE:PIECES, got \"{}\"", excerpt(item))))?;
        map.insert(core, pieces);
    }
    Ok(map)
}

/// The NUMA node of each core: the option's nth list has the cores of node n.
pub(crate) fn numa_cores(option: &str, lists: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let mut map = BTreeMap::new();
    for (node, list) in lists.iter().enumerate() {
        for core in list.split(',').filter(|core| !core.is_empty()) {
            if !core_number(core) {
                return Err(usage(format!("{option}: not the number of a core, got \"{}\"", excerpt(core))));
            }
            if map.insert(core.to_owned(), node.to_string()).is_some() {
                return Err(usage(format!("{option}: core {core} is given twice")));
            }
        }
    }
    Ok(map)
}

/// The memory of each NUMA node: the option's nth value is that of node n.
pub(crate) fn numa_memory(sizes: &[i64]) -> BTreeMap<String, i64> {
    sizes.iter().enumerate().map(|(node, bytes)| (node.to_string(), *bytes)).collect()
}

fn core_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}

fn usage(message: String) -> CliError {
    CliError::Usage(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(count("10000"), Ok(10_000));
        for bad in ["0", "-3", "1e3", "abc", "99999999999", "", "+1", " 1", "1.0"] {
            assert_eq!(count(bad).unwrap_err(), format!("must be a whole number from 1 to 10000, got \"{bad}\""));
        }
        assert_eq!(cores("0.5"), Ok(0.5));
        for bad in ["-1", "inf", "1e308", "0.0000001", "NaN", "", "x"] {
            assert!(cores(bad).unwrap_err().starts_with("must be 0 or between 0.01 and 4096 cores"), "{bad}");
        }
        assert_eq!(signed_bytes("-1G"), Ok(-(1 << 30)));
        assert!(signed_bytes("--1G").is_err());
        assert!(bytes("-1G").is_err());
    }

    #[test]
    fn lists() {
        let strings = |items: &[&str]| items.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let message = |result: Result<BTreeMap<String, String>, CliError>| result.unwrap_err().to_string();
        assert_eq!(message(pairs("--nodelabel", &strings(&["a"]))), "--nodelabel: key \"a\" has no value");
        assert_eq!(
            message(pairs("--nodelabel", &strings(&["a=1", "a=2"]))),
            "--nodelabel: key \"a\" is given twice with different values"
        );
        assert_eq!(pairs("--label", &strings(&["a=1=2", "a=1=2"])).unwrap()["a"], "1=2");
        assert_eq!(
            env("--env", &strings(&["A=1", "FOO"])).unwrap_err().to_string(),
            "--env item 2: expected NAME=VALUE, got \"FOO\""
        );
        assert_eq!(numa_cores("--numa-cpu", &strings(&["0,1", "2"])).unwrap()["2"], "1");
        assert!(numa_cores("--numa-cpu", &strings(&["0", "0"])).is_err());
        assert_eq!(core_shares("--cpu", "0:100,1:-20").unwrap()["1"], -20);
        assert!(core_shares("--cpu", "x:1").is_err());
        assert_eq!(devices("--volume", "/d0:10G,/d1:-1").unwrap()["/d1"], -1);
        assert!(devices("--volume", "d0:10G").is_err());
        let networks = |items: &[&str]| networks("--network", &strings(items));
        assert_eq!(networks(&["bridge=10.0.0.1", "net1", ""]).unwrap()["bridge"], "10.0.0.1");
        assert_eq!(networks(&[""]).unwrap().len(), 0);
        assert!(networks(&["bridge=x"]).is_err());
        assert_eq!(message(networks(&["a", "a=10.0.0.1"])), "--network: network \"a\" is given twice");
    }
}
