//! Amounts of resources as the engine's limits.

use super::{
    bodies::HostConfig,
    facts::Facts,
    raw::{RawOptions, Ulimit},
};
use crate::port::{CreateRequest, Error, Result};
use std::collections::BTreeMap;

/// Least memory of a container: below, the kernel ends it before it runs.
const MEMORY_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// The period that quotas are counted in, in microseconds.
const CPU_PERIOD_US: i64 = 100_000;
/// The kernel's least quota, in microseconds a period.
const CPU_QUOTA_US_MIN: i64 = 1_000;
/// The weight of one whole core.
const CPU_SHARES: i64 = 1024;
/// The kernel's least weight.
const CPU_SHARES_MIN: i64 = 2;
/// Millionths of a core.
const CORE: u64 = 1_000_000;
/// The kernel's limit of open files, by the engine's name.
const NOFILE: &str = "nofile";
/// Open files of a workload that asks for nothing: enough for a server with tens of thousands of connections.
const OPEN_FILES: u64 = 65_535;

/// Writes the limits of `request` into `host`.
pub(super) fn apply(host: &mut HostConfig, request: &CreateRequest, facts: &Facts, raw: &RawOptions) -> Result<()> {
    memory(host, request)?;
    processors(host, request);
    host.storage_opt = storage(request, facts, raw);
    host.ulimits = ulimits(facts, raw)?;
    Ok(())
}

fn memory(host: &mut HostConfig, request: &CreateRequest) -> Result<()> {
    let bytes = request.resources.memory_limit.0;
    if bytes == 0 {
        return Ok(());
    }
    let wire = i64::try_from(bytes).ok().filter(|_| bytes >= MEMORY_BYTES_MIN).ok_or_else(|| {
        Error::Invalid(format!("bad `Memory` value: a container needs at least {MEMORY_BYTES_MIN} bytes, got {bytes}"))
    })?;
    // Swap counts memory in, so that this is none.
    (host.memory, host.memory_swap) = (Some(wire), Some(wire));
    let least = i64::try_from(MEMORY_BYTES_MIN).expect("4 MiB");
    host.memory_reservation = Some((wire / 2).max(least));
    Ok(())
}

fn processors(host: &mut HostConfig, request: &CreateRequest) {
    let quota = request.resources.cpu_limit.0;
    let mut cores: Vec<&str> = request.allotment.cores.keys().map(String::as_str).collect();
    host.cpu_shares = Some(CPU_SHARES);
    if cores.is_empty() {
        if quota > 0 {
            let us = i64::try_from(quota.saturating_mul(CPU_PERIOD_US.unsigned_abs()) / CORE).unwrap_or(i64::MAX);
            (host.cpu_period, host.cpu_quota) = (Some(CPU_PERIOD_US), Some(us.max(CPU_QUOTA_US_MIN)));
        }
        return;
    }
    // By number, so that equal requests read the same.
    cores.sort_by_key(|core| (core.parse::<u64>().unwrap_or(u64::MAX), *core));
    host.cpuset_cpus = Some(cores.join(","));
    host.cpu_quota = Some(-1);
    if !request.allotment.numa_node.is_empty() {
        host.cpuset_mems = Some(request.allotment.numa_node.clone());
    }
    let fraction = quota % CORE;
    if fraction > 0 {
        let shares = (fraction * CPU_SHARES.unsigned_abs() + CORE / 2) / CORE;
        host.cpu_shares = Some(i64::try_from(shares).expect("below 1024").max(CPU_SHARES_MIN));
    }
}

/// What is left of the storage without its volumes, where the engine's driver can limit it.
fn storage(request: &CreateRequest, facts: &Facts, raw: &RawOptions) -> BTreeMap<String, String> {
    let mut options = raw.storage_opt.clone().unwrap_or_default();
    let volumes = request.allotment.volumes_limit.iter().fold(0u64, |sum, v| sum.saturating_add(v.size()));
    let left = request.resources.storage_limit.0.saturating_sub(volumes);
    if left > 0 && facts.limits_storage {
        options.entry("size".to_owned()).or_insert_with(|| left.to_string());
    }
    options
}

fn ulimits(facts: &Facts, raw: &RawOptions) -> Result<Vec<Ulimit>> {
    let mut all = raw.ulimits.clone().unwrap_or_default();
    for Ulimit { name, soft, hard } in &all {
        if let (NOFILE, Some(max)) = (name.as_str(), facts.open_files_max) {
            // -1 is "without bound" for the kernel.
            if let Some(above) =
                [*soft, *hard].into_iter().find(|asked| u64::try_from(*asked).map_or(true, |asked| asked > max))
            {
                return Err(Error::Invalid(format!(
                    "raw_args: ulimit nofile must be at most {max}, which is what the daemon itself may have, got {above}"
                )));
            }
        }
    }
    // Where the daemon's own limit is not known its default stays: that one it can always give.
    if let (Some(max), false) = (facts.open_files_max, all.iter().any(|limit| limit.name == NOFILE)) {
        let files = i64::try_from(max.min(OPEN_FILES)).expect("at most 65535");
        all.push(Ulimit { name: NOFILE.into(), soft: files, hard: files });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::request;
    use eru_types::{CpuQuota, MemoryBytes};

    fn applied(change: impl FnOnce(&mut CreateRequest), facts: &Facts, raw: &str) -> Result<HostConfig> {
        let (mut wanted, mut host) = (request("app_web_aaaaaa", &["x"]), HostConfig::default());
        change(&mut wanted);
        apply(&mut host, &wanted, facts, &RawOptions::parse(raw).unwrap()).map(|()| host)
    }

    #[test]
    fn memory_has_no_swap_and_a_least() {
        let of = |bytes| applied(|r| r.resources.memory_limit = MemoryBytes(bytes), &Facts::default(), "");
        let host = of(64 << 20).unwrap();
        assert_eq!(
            (host.memory, host.memory_swap, host.memory_reservation),
            (Some(64 << 20), Some(64 << 20), Some(32 << 20))
        );
        assert_eq!(of(4 << 20).unwrap().memory_reservation, Some(4 << 20));
        assert_eq!(of(0).unwrap().memory, None);
        for bad in [1, (4 << 20) - 1, u64::MAX] {
            assert!(of(bad).unwrap_err().to_string().starts_with("bad `Memory` value"), "{bad}");
        }
    }

    #[test]
    fn cores_are_bound_or_counted() {
        let of = |millionths, cores: &[&str]| {
            let host = applied(
                |r| {
                    r.resources.cpu_limit = CpuQuota(millionths);
                    r.allotment.cores = cores.iter().map(|c| ((*c).to_owned(), 100)).collect();
                    r.allotment.numa_node = "1".into();
                },
                &Facts::default(),
                "",
            );
            let host = host.unwrap();
            (host.cpu_period, host.cpu_quota, host.cpu_shares, host.cpuset_cpus.unwrap_or_default(), host.cpuset_mems)
        };
        assert_eq!(of(200_000, &[]), (Some(100_000), Some(20_000), Some(1024), String::new(), None));
        assert_eq!(of(1, &[]).1, Some(1_000));
        assert_eq!(of(0, &[]), (None, None, Some(1024), String::new(), None));
        assert_eq!(of(2_000_000, &["10", "9", "0"]), (None, Some(-1), Some(1024), "0,9,10".into(), Some("1".into())));
        assert_eq!(of(1_300_000, &["0", "1"]).2, Some(307));
        assert_eq!(of(1, &["0"]).2, Some(2));
    }

    #[test]
    fn open_files_are_what_the_daemon_can_give() {
        let facts = |max| Facts { open_files_max: max, ..Facts::default() };
        let nofile = |facts: &Facts, raw: &str| {
            let limits = applied(|_| (), facts, raw)?.ulimits;
            Ok::<_, Error>(limits.into_iter().map(|l| (l.name, l.soft, l.hard)).collect::<Vec<_>>())
        };
        let one = |n: i64| vec![("nofile".to_owned(), n, n)];
        assert_eq!(nofile(&facts(Some(1 << 20)), "").unwrap(), one(65_535));
        assert_eq!(nofile(&facts(Some(20_000)), "").unwrap(), one(20_000));
        assert_eq!(nofile(&facts(None), "").unwrap(), []);
        let asked = r#"{"ulimits":[{"Name":"nofile","Soft":30000,"Hard":30000}]}"#;
        assert_eq!(nofile(&facts(None), asked).unwrap(), one(30_000));
        assert!(nofile(&facts(Some(20_000)), asked).unwrap_err().to_string().contains("at most 20000"));
        let unbound = r#"{"ulimits":[{"Name":"nofile","Soft":-1,"Hard":-1}]}"#;
        assert!(nofile(&facts(Some(20_000)), unbound).unwrap_err().to_string().contains("got -1"));
        assert_eq!(nofile(&facts(Some(9)), r#"{"ulimits":[{"Name":"core","Soft":0,"Hard":-1}]}"#).unwrap().len(), 2);
    }

    #[test]
    fn storage_is_limited_without_its_volumes() {
        let of = |limits_storage, raw: &str| {
            let change = |r: &mut CreateRequest| {
                r.resources.storage_limit = MemoryBytes(1000);
                r.allotment.volumes_limit = vec!["/a:/b:rw:300".parse().unwrap(), "/c:/d".parse().unwrap()];
            };
            applied(change, &Facts { limits_storage, ..Facts::default() }, raw).unwrap().storage_opt
        };
        assert_eq!(of(true, "")["size"], "700");
        assert!(of(false, "").is_empty());
        assert_eq!(of(true, r#"{"storage_opt":{"size":"5G"}}"#)["size"], "5G");
    }
}
