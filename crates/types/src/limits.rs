//! Bounds that several crates share. Each has a unit and a reason; what one crate alone needs stands there.

/// Most instances that one deploy may ask for: ten thousand placements are about 10 MB of records.
pub const DEPLOY_COUNT_MAX: u32 = 10_000;
/// Largest stored record, in bytes: a third of etcd's request limit, so that a record and its index fit one transaction.
pub const RECORD_BYTES_MAX: usize = 512 * 1024;
/// Most networks of one status.
pub const NETWORKS_LEN_MAX: usize = 32;
/// Largest extension of one status, in bytes.
pub const EXTENSION_BYTES_MAX: usize = 64 * 1024;
/// Most items of an environment, hosts, DNS or id list in one request.
pub const LIST_LEN_MAX: usize = 10_000;
/// Last output lines kept of a workload that ended.
pub const LAST_LINES_MAX: usize = 10;
/// Longest of those lines, in bytes.
pub const LAST_LINE_BYTES_MAX: usize = 512;
/// Longest one-line reason, in bytes.
pub const REASON_BYTES_MAX: usize = 512;
