//! End to end, black box: real processes, killed for real. One binary, so that it is linked once.

mod bad_input;
mod faults;
mod kill9;
mod page;
mod scene;
mod the_loop;
