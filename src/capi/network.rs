//! A container's networks.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use super::boundary::call;
use super::container::berth_container;
use super::error::berth_error;
use super::{args, memory};

/// For berth_container_interfaces_json: include every interface inside the container.
pub const BERTH_INTERFACES_INSIDE: u32 = 1;

/// Return the counters of a container's networks as JSON: the array "networks" has an object for each veth pair that
/// berth_config_with_networks has configured and that still exists, with name, hostInterfaceName, bridge, and the
/// counters receivedBytes, receivedPackets, receivedErrors, receivedDropped, sentBytes, sentPackets, sentErrors,
/// sentDropped. Received means received by the container. With BERTH_INTERFACES_INSIDE in `flags` the array
/// "interfaces" has every interface of the container's network namespace, with name, up, mtu, macAddress and the same
/// counters.
///
/// Release `json` with berth_string_free. Blocks while the kernel answers; with BERTH_INTERFACES_INSIDE it starts a
/// helper process, which ends before the call returns. The counters are those of rtnetlink(7), IFLA_STATS64.
///
/// Errors: BERTH_E_NOT_FOUND if it was deleted; with BERTH_INTERFACES_INSIDE, BERTH_E_NOT_RUNNING if it is stopped.
#[unsafe(no_mangle)]
pub extern "C" fn berth_container_interfaces_json(
    container: Option<&berth_container>,
    flags: u32,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut berth_error>>,
) -> i32 {
    call(error, || {
        let slot = args::out_pointer(json, "json")?;
        let container = &args::handle(container, "container")?.container;
        let inside = args::flags(flags, BERTH_INTERFACES_INSIDE)? & BERTH_INTERFACES_INSIDE != 0;
        memory::give_text(slot, &container.interfaces_json(inside)?)
    })
}
