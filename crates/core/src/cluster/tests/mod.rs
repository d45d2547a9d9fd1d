//! Whole operations over a real store and simulated engines, with the invariants checked after each.

mod crashes;
mod deploys;
mod faulty;
mod figures;
mod lost;
mod removals;
mod rig;
