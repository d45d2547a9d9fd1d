//! A controller over a core in memory: what it does about what happens, seen from outside.

mod fake_core;
mod life;
mod many;
mod poison;
mod refused;
mod world;
