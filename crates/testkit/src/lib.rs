//! For tests and benchmarks only: real processes to kill, conditions to wait for, this disk's own speed.

pub mod daemon;
pub mod disk;
pub mod docker;
pub mod dockerd;
pub mod etcd;
pub mod eventually;
pub mod meddled;
pub mod percentile;
pub mod port;
pub mod up;

pub use daemon::Daemon;
pub use docker::Docker;
pub use dockerd::OwnDockerd;
pub use eventually::eventually;
pub use meddled::{Meddle, Meddled};
pub use percentile::Percentiles;
pub use up::Up;
