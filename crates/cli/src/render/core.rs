//! Core.

use super::table;
use super::table::cell;
use eru_api::pb;

/// `core info`. Rows of ours follow those of the original, when core gives them.
pub fn core_info(info: &pb::CoreInfo) -> String {
    let mut rows = vec![
        ("Version", info.version.clone()),
        ("Git hash", info.revison.clone()),
        ("Built", info.build_at.clone()),
        ("Golang version", info.golang_version.clone()),
        ("OS/Arch", info.os_arch.clone()),
        ("Identifier", info.identifier.clone()),
    ];
    if !info.store.is_empty() {
        rows.push(("Store", info.store.clone()));
        rows.push(("Store ID", info.store_id.clone()));
        rows.push(("Store epoch", info.store_epoch.to_string()));
        rows.push(("Revision", info.revision.to_string()));
        rows.push(("Started", info.started_at.clone()));
    }
    table(["NAME", "DESCRIPTION"], rows.into_iter().map(|(name, value)| [cell(name), cell(value)]).collect(), false)
}
