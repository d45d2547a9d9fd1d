//! What is not built yet: each answer names what is missing.

use tonic::Status;

/// Building images.
pub(super) const BUILD: &str = "building images";
/// Changing resources of a workload.
pub(super) const REALLOC: &str = "changing the resources of a workload";

/// UNIMPLEMENTED, by name.
pub(super) fn missing(what: &str) -> Status {
    Status::unimplemented(format!("this version cannot do it yet: {what}"))
}
