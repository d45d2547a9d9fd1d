//! What Eru costs on a real Docker engine, beside what the engine itself costs in the same run.

pub mod agent;
pub mod engine;
pub mod exec;
pub mod kill;
pub mod output;
pub mod proxy;
pub mod site;
pub mod size;
pub mod swarm;
