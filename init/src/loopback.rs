//! Brings up the loopback interface of the calling process's network namespace.

use linux_raw_sys::net::{ifreq, net_device_flags};

use super::sys::*;

/// Brings up the interface. The kernel then assigns its addresses.
pub fn bring_up() -> Result<()> {
    const UP: i16 = net_device_flags::IFF_UP as i16;
    // SAFETY: all-zero is a valid ifreq (netdevice(7)), and so is any NUL-terminated name.
    let mut request: ifreq = unsafe { core::mem::zeroed() };
    let mut name = [0; 16];
    (name[0], name[1]) = (b'l' as _, b'o' as _);
    request.ifr_ifrn.ifrn_name = name;
    // Any kind of socket accepts these requests, and this kind needs no protocol in the kernel.
    let socket = socket(AF_UNIX, SOCK_DGRAM, 0)?;
    let mut result = ioctl(socket, SIOCGIFFLAGS, &raw mut request as usize);
    // SAFETY: every bit pattern is a valid number, and the kernel has written this part of the union.
    let flags = unsafe { (&raw const request.ifr_ifru.ifru_flags).read_volatile() };
    if result.is_ok() && flags & UP == 0 {
        request.ifr_ifru.ifru_flags = flags | UP;
        result = ioctl(socket, SIOCSIFFLAGS, &raw mut request as usize);
    }
    close(socket);
    result.map(|_| ())
}
