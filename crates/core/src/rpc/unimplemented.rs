//! What is not built yet: each answer names what is missing.

use tonic::Status;

/// Networks of engines.
pub(super) const NETWORKS: &str = "networks of engines";
/// Copying files.
pub(super) const FILES: &str = "copying files into and out of workloads";
/// Images.
pub(super) const IMAGES: &str = "building, caching and listing images";
/// Replacing workloads one for one.
pub(super) const REPLACE: &str = "replacing workloads one for one (a ReplicaSet does, with `eru-cli replicaset apply`)";
/// Running commands inside of workloads.
pub(super) const EXECUTE: &str = "running a command inside of a workload";
/// Changing resources of a workload.
pub(super) const REALLOC: &str = "changing the resources of a workload";
/// Running to the end.
pub(super) const LAMBDA: &str = "running workloads to their end";

/// UNIMPLEMENTED, by name.
pub(super) fn missing(what: &str) -> Status {
    Status::unimplemented(format!("this version cannot do it yet: {what}"))
}
