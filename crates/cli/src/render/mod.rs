//! What things look like: messages in, text out. No IO, no clock, no decisions.

mod clean;
mod core;
mod go;
mod image;
mod network;
mod node;
mod pod;
mod replicaset;
mod size;
mod status;
mod table;
mod workload;
mod yaml;

pub use self::core::core_info;
pub use clean::clean;
pub use go::{float, list, map, volume_plan};
pub use image::images;
pub use network::networks;
pub use node::nodes;
pub use pod::{capacity, pods, reason, resources};
pub use replicaset::{replicaset, replicasets};
pub use size::size;
pub use status::statuses;
pub use table::table;
pub use workload::{Statistics, statistics, workload_details, workloads};
pub use yaml::{json, yaml};
