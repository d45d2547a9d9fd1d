//! YAML as a tree that knows where each value stands.
//!
//! One document, a mapping or whatever else it holds, with duplicate keys refused, aliases expanded within a budget and
//! merge keys (`<<`) applied. Scalars stay text: whether `5001` is a number or a name is for the reader to say.

mod node;
mod parse;

pub use node::{Entry, Node, Value};
pub use parse::{BYTES_MAX, DEPTH_MAX, NODES_MAX, parse};
