//! Whole operations over a real store and simulated engines, with the invariants checked after each.

mod crashes;
mod deploys;
mod faulty;
mod figures;
mod hooks;
mod images;
mod lambdas;
mod lost;
mod parts;
mod removals;
mod replaces;
mod rig;
