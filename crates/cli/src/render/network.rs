//! Networks of engines.

use super::table;
use super::table::cell;
use eru_api::pb;

/// `pod networks`.
pub fn networks(networks: &[pb::Network]) -> String {
    let rows = networks.iter().map(|n| [cell(&n.name), cell(n.subnets.join(","))]).collect();
    table(["NAME", "NETWORK"], rows, false)
}
