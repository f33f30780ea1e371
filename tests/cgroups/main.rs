//! Tests with real cgroups and processes. Pass on hybrid, pure v2 and pure v1 hosts; a test of a controller that the
//! host does not have prints that and is skipped. Need root.

mod devices;
mod freezer;
mod kill;
mod lifecycle;
mod limits;
mod resources;
mod support;
