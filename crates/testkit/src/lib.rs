//! For tests and benchmarks only: real processes to kill, conditions to wait for, this disk's own speed.

pub mod disk;
pub mod etcd;
pub mod eventually;
pub mod percentile;
pub mod port;
pub mod up;

pub use eventually::eventually;
pub use percentile::Percentiles;
pub use up::Up;
