//! The output of a workload: one line of text per line of output, `<milliseconds> <o|e> <data>`, in two files of half the
//! bound each. When `log` is full it becomes `log.1`, and the `log.1` before it is gone.

mod reader;
mod record;
mod tail;
mod writer;

pub(super) use reader::Reader;
pub(super) use record::text_of;
pub(super) use tail::last_records;
pub(super) use writer::{Pump, Writer};
