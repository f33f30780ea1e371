//! What only a process inside a network namespace can do.

use super::report::Report;
use super::sys::*;
use super::wire;

/// Enters the namespace that comes through `prepared`, with an interface that is up already. Whatever has failed there,
/// one is made here, and why that fails is told.
pub fn enter_namespace(prepared: Option<i32>) -> Result<()> {
    let Some(Ok(namespace)) = prepared.map(receive_fd) else { return unshare(CLONE_NEWNET) };
    let result = setns(namespace, CLONE_NEWNET);
    close(namespace);
    result.or_else(|_| unshare(CLONE_NEWNET))
}

/// A socket stays in the namespace that it was opened in, whoever uses it.
pub fn send_netlink_socket(report: &Report, protocol: i32) -> Result<()> {
    let socket = socket(AF_NETLINK, SOCK_RAW, protocol)?;
    let result = report.send(wire::SOCKET, 0, Some(socket));
    close(socket);
    result
}
