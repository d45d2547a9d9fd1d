//! Who may depend on whom (ARCHITECTURE.md, "Crates"). A forbidden edge fails here.

use cargo_metadata::{DependencyKind, MetadataCommand};
use std::collections::{BTreeMap, BTreeSet};

/// Crate -> the crates of ours that it may name. Dev-dependencies are free: a test may start anything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("eru-types", &[]),
    ("eru-scheduler", &["eru-types"]),
    ("eru-reconcile", &["eru-types"]),
    ("eru-kv", &["eru-types"]),
    ("eru-runtime", &["eru-types"]),
    ("eru-api", &["eru-types"]),
    ("eru-config", &["eru-types"]),
    ("eru-client", &["eru-api", "eru-types"]),
    ("eru-core", &["eru-api", "eru-config", "eru-kv", "eru-runtime", "eru-scheduler", "eru-types"]),
    ("eru-agent", &["eru-api", "eru-client", "eru-config", "eru-runtime", "eru-types"]),
    ("eru-controller", &["eru-api", "eru-client", "eru-config", "eru-kv", "eru-reconcile", "eru-types"]),
    ("eru-cli", &["eru-api", "eru-client", "eru-config", "eru-types"]),
    ("eru-hello", &[]),
];

/// The pure crates: decisions without clock, randomness, IO or async.
const PURE: &[&str] = &["eru-types", "eru-scheduler", "eru-reconcile"];
const PURE_MAY_NAME: &[&str] = &["serde", "serde_json", "thiserror"];

/// Libraries that belong to one crate alone.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("redb", &["eru-kv"]),
    ("serde-saphyr", &["eru-config", "eru-cli"]),
    ("clap", &["eru-cli", "eru-hello", "eru", "eru-benches"]),
];

#[test]
fn no_forbidden_edge() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata runs");
    let edges: BTreeMap<String, BTreeSet<String>> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let named = package
                .dependencies
                .iter()
                .filter(|dep| dep.kind == DependencyKind::Normal)
                .map(|dep| dep.name.to_string())
                .collect();
            (package.name.to_string(), named)
        })
        .collect();
    assert!(edges.len() >= ALLOWED.len(), "{edges:?}");

    let mut wrong = Vec::new();
    for (name, allowed) in ALLOWED {
        let named = edges.get(*name).unwrap_or_else(|| panic!("no crate {name}"));
        for other in named.iter().filter(|other| other.starts_with("eru-") && !allowed.contains(&other.as_str())) {
            wrong.push(format!("{name} -> {other}"));
        }
        if PURE.contains(name) {
            for other in named.iter().filter(|o| !PURE_MAY_NAME.contains(&o.as_str()) && *o != "eru-types") {
                wrong.push(format!("{name} is pure, and names {other}"));
            }
        }
    }
    for (library, homes) in ONLY_IN {
        for (name, _) in
            edges.iter().filter(|(name, named)| named.contains(*library) && !homes.contains(&name.as_str()))
        {
            wrong.push(format!("{name} -> {library}, which belongs to {homes:?}"));
        }
    }
    assert!(wrong.is_empty(), "forbidden edges:\n{}", wrong.join("\n"));
}
