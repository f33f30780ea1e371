//! Real cgroups with real processes in them. Passes on hybrid hosts, pure v2 and pure v1; a test for a
//! controller that the host does not have says so and is skipped. Needs root.

mod devices;
mod freezer;
mod kill;
mod life;
mod limits;
mod resources;
mod support;
