//! Values with a notation of their own: durations, sizes, addresses, secrets, lists.

mod bind;
mod duration;
mod list;
mod log_level;
mod secret;
mod size;

pub use bind::BindAddress;
pub use duration::GoDuration;
pub use list::ListOrScalar;
pub(crate) use list::fold_duplicates;
pub use log_level::LogLevel;
pub use secret::Secret;
pub use size::ByteSize;
