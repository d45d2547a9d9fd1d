//! End to end, black box: real processes, killed for real. One binary, so that it is linked once.

mod bad_input;
mod docker_kill9;
mod docker_loop;
mod docker_page;
mod docker_scene;
mod docker_up;
mod docker_watch;
mod faults;
mod kill9;
mod page;
mod scene;
mod the_loop;
