//! Operations that only a process inside a network namespace can perform.

use super::report::Report;
use super::sys::*;
use super::wire;

/// Enters the namespace received through `prepared`, whose loopback interface is already up. If the helper failed,
/// creates one here, and reports why that fails.
pub fn enter_namespace(prepared: Option<i32>) -> Result<()> {
    let Some(Ok(namespace)) = prepared.map(receive_fd) else { return unshare(CLONE_NEWNET) };
    let result = setns(namespace, CLONE_NEWNET);
    close(namespace);
    result.or_else(|_| unshare(CLONE_NEWNET))
}

/// Sends a netlink socket to the caller. A socket belongs to the namespace in which it was opened, whichever process
/// uses it.
pub fn send_netlink_socket(report: &Report, protocol: i32) -> Result<()> {
    let socket = socket(AF_NETLINK, SOCK_RAW, protocol)?;
    let result = report.send(wire::OPENED, 0, Some(socket));
    close(socket);
    result
}
