//! The client and its informer, from outside.
#![allow(clippy::unwrap_used)]

mod calls;
mod fold;
mod informer;
mod support;
