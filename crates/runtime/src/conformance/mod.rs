//! The suite that every implementation of the port passes.
//!
//! A runtime joins by a [`Subject`] that can make workloads with a known [`Behaviour`]; each of [`cases`] then runs on a
//! runtime of its own. A case panics where the promise of the port is broken. What a runtime does not declare among its
//! [`Abilities`] it must refuse as unsupported, which is a case too.

macro_rules! cases {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), |s| $name(s).boxed_local())),*] };
}

mod engine;
mod files;
mod inside;
mod life;
mod subject;

use futures::future::LocalBoxFuture;

pub use subject::{Abilities, Behaviour, Inside, Subject, request, within};

/// A case: its name, and what it does.
pub type Case = (&'static str, for<'a> fn(&'a dyn Subject) -> LocalBoxFuture<'a, ()>);

/// All cases.
pub fn cases() -> impl Iterator<Item = Case> {
    [life::CASES, inside::CASES, files::CASES, engine::CASES].into_iter().flatten().copied()
}
