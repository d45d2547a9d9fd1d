//! The benchmarks that README quotes. Each prints one table; nothing here asserts a time.

pub mod cluster;
pub mod deploy;
pub mod docker;
pub mod fanout;
pub mod idle;
pub mod kill;
pub mod list;
pub mod process;
pub mod reports;
pub mod scheduler;
pub mod stalled;
pub mod subscriber;
pub mod table;
pub mod up;
