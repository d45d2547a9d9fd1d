//! The images of nodes: fetched ahead of a deploy, listed, removed.
//!
//! # Invariants
//! - What is wrong with one node is said of that node; the others go on.
//! - Everything is a stream that does its work as it is read: a caller that leaves ends it, but for the image that is being
//!   fetched, which others may wait for as well.

mod cache;
mod list;
mod nodes;
mod remove;

pub use cache::{CacheRequest, CacheStep};
pub use list::{ListRequest, NodeImages};
pub use nodes::NodeChoice;
pub use remove::{RemoveImageOutcome, RemoveImagesRequest};
