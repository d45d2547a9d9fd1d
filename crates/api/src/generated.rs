//! What build.rs generated. The modules are nested like the packages, because generated code refers to the types of
//! another package by a relative path.

/// The encoded descriptor set of all services, for server reflection. It carries no comments.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

pub use eru::agent::v1 as agent;
pub use eru::controller::v1 as controller;

/// The public API: package `pb` of `proto/core.proto`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod pb {
    tonic::include_proto!("pb");
}

mod eru {
    pub mod agent {
        /// What agents and core say to each other: package `eru.agent.v1` of `proto/agent.proto`.
        #[allow(missing_docs, clippy::all, clippy::unwrap_used)]
        pub mod v1 {
            tonic::include_proto!("eru.agent.v1");
        }
    }
    pub mod controller {
        /// ReplicaSets: package `eru.controller.v1` of `proto/controller.proto`.
        #[allow(missing_docs, clippy::all, clippy::unwrap_used)]
        pub mod v1 {
            tonic::include_proto!("eru.controller.v1");
        }
    }
}
