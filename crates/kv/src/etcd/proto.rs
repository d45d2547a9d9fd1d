//! The generated messages and clients of etcd's interface.

#![allow(missing_docs, clippy::all, reason = "generated")]

pub(super) mod mvccpb {
    tonic::include_proto!("mvccpb");
}

pub(super) mod etcdserverpb {
    tonic::include_proto!("etcdserverpb");
}
