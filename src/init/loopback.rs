//! The loopback interface of the calling process's network namespace.

use super::sys::*;

/// struct ifreq of netdevice(7), with the flags of its union.
#[repr(C)]
struct Ifreq {
    name: [u8; 16],
    flags: u16,
    _rest: [u8; 22],
}

/// The kernel gives it its addresses when it comes up.
pub fn bring_up() -> Result<()> {
    const SIOCGIFFLAGS: u64 = 0x8913;
    const SIOCSIFFLAGS: u64 = 0x8914;
    const IFF_UP: u16 = 1;
    let mut request = Ifreq { name: [0; 16], flags: 0, _rest: [0; 22] };
    request.name[0] = b'l';
    request.name[1] = b'o';
    // These requests are answered on every kind of socket, and this kind needs no protocol in the kernel.
    let socket = socket(AF_UNIX, SOCK_DGRAM, 0)?;
    let mut result = ioctl(socket, SIOCGIFFLAGS, &raw mut request as usize);
    if result.is_ok() && request.flags & IFF_UP == 0 {
        request.flags |= IFF_UP;
        result = ioctl(socket, SIOCSIFFLAGS, &raw mut request as usize);
    }
    close(socket);
    result.map(|_| ())
}
