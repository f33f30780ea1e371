//! Parses addresses and names in a document.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An Ethernet hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mac(
    /// The bytes, in the order in which they are written and sent.
    pub [u8; 6],
);

impl fmt::Display for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// An address and the length of its network prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

impl Prefix {
    fn bits(address: IpAddr) -> (u128, u32) {
        match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        }
    }

    fn mask(length: u8) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
    }

    /// Returns the prefix with the host bits cleared.
    pub fn network(&self) -> Prefix {
        let bits = Prefix::bits(self.address).0 & Prefix::mask(self.length);
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        };
        Prefix { address, length: self.length }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && (Prefix::bits(address).0 ^ Prefix::bits(self.address).0) & Prefix::mask(self.length) == 0
    }

    /// Returns the destination of a default route.
    pub fn everywhere(like: IpAddr) -> Prefix {
        Prefix {
            address: if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() },
            length: 0,
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length)
    }
}

pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

const PREFIX4: &str = "an IPv4 address with its prefix length, like 10.0.0.2/24";
const PREFIX6: &str = "an IPv6 address with its prefix length, like fd00::2/64";

fn wrong(path: &str, text: &str, problem: &str, expected: &str) -> Error {
    let shown: String = text.chars().take(100).collect();
    Error::config(path, format!("{shown:?} {problem}; expected {expected}"))
}

/// Parses an address with a prefix length, of either family.
pub fn prefix(text: &str, path: &str, expected: &str) -> Result<Prefix> {
    let wrong = |problem: &str| wrong(path, text, problem, expected);
    let Some((address, length)) = text.split_once('/') else { return Err(wrong("has no prefix length")) };
    let address: IpAddr = address.parse().map_err(|_| wrong("is not an address"))?;
    let max = Prefix::bits(address).1;
    let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let length = length.parse().ok().filter(|length| plain && u32::from(*length) <= max);
    Ok(Prefix { address, length: length.ok_or_else(|| wrong("has no usable prefix length"))? })
}

/// Parses an address that an interface can have.
fn host_address(text: &str, path: &str, expected: &str) -> Result<Prefix> {
    let prefix = prefix(text, path, expected)?;
    if prefix.length == 0 || prefix.address.is_unspecified() || prefix.address.is_multicast() {
        return Err(wrong(path, text, "cannot be an interface's address", expected));
    }
    if prefix.address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(wrong(path, text, "is the broadcast address", expected));
    }
    Ok(prefix)
}

pub fn host_address4(text: &str, path: &str) -> Result<Prefix> {
    let found = host_address(text, path, PREFIX4)?;
    if found.address.is_ipv6() { Err(wrong(path, text, "is an IPv6 address", PREFIX4)) } else { Ok(found) }
}

pub fn host_address6(text: &str, path: &str) -> Result<Prefix> {
    let found = host_address(text, path, PREFIX6)?;
    if found.address.is_ipv4() { Err(wrong(path, text, "is an IPv4 address", PREFIX6)) } else { Ok(found) }
}

/// Parses the address of a single host, without a prefix length.
pub fn address(text: &str, path: &str, expected: &str) -> Result<IpAddr> {
    let address: IpAddr = text.parse().map_err(|_| wrong(path, text, "is not an address", expected))?;
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(wrong(path, text, "is not the address of a single host", expected));
    }
    Ok(address)
}

pub fn ipv4(text: &str, path: &str) -> Result<Ipv4Addr> {
    const EXPECTED: &str = "an IPv4 address, like 10.0.0.1";
    match address(text, path, EXPECTED)? {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(wrong(path, text, "is an IPv6 address", EXPECTED)),
    }
}

pub fn ipv6(text: &str, path: &str) -> Result<Ipv6Addr> {
    const EXPECTED: &str = "an IPv6 address, like fd00::1";
    match address(text, path, EXPECTED)? {
        IpAddr::V6(address) => Ok(address),
        IpAddr::V4(_) => Err(wrong(path, text, "is an IPv4 address", EXPECTED)),
    }
}

pub fn mac(text: &str, path: &str) -> Result<Mac> {
    const EXPECTED: &str = "the hardware address of one interface, like 02:00:00:00:00:01";
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Option<Vec<u8>> =
        text.split(':').map(|part| u8::from_str_radix(part, 16).ok().filter(|_| digits(part))).collect();
    let bytes = parts.and_then(|parts| <[u8; 6]>::try_from(parts).ok());
    let bytes = bytes.ok_or_else(|| wrong(path, text, "is not a hardware address", EXPECTED))?;
    if bytes[0] & 1 != 0 || bytes == [0; 6] {
        return Err(wrong(path, text, "is a multicast address or all zeros", EXPECTED));
    }
    Ok(Mac(bytes))
}

/// Checks an interface name: the kernel must accept it (dev_valid_name), and not take it as a pattern.
pub fn interface_name(name: &str, path: &str) -> Result<String> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
    if name.is_empty() || name.len() > 15 || matches!(name, "." | "..") || name.contains(forbidden) {
        let expected = "a name of 1 to 15 bytes without spaces, \"/\", \":\" and \"%\"";
        return Err(wrong(path, name, "is not a name for an interface", expected));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Prefix {
        prefix(text, "p", "x").unwrap()
    }

    #[test]
    fn a_prefix_knows_its_network_and_what_is_in_it() {
        assert_eq!(of("10.1.2.3/16").network(), of("10.1.0.0/16"));
        assert_eq!(of("10.1.2.3/0").network(), of("0.0.0.0/0"));
        assert_eq!(of("fd00::1:2/64").network(), of("fd00::/64"));
        assert!(of("10.1.2.3/16").contains("10.1.255.1".parse().unwrap()));
        assert!(!of("10.1.2.3/16").contains("10.2.0.1".parse().unwrap()));
        assert!(!of("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(of("::/0").contains("fd00::1".parse().unwrap()));
    }

    #[test]
    fn an_invalid_address_is_refused() {
        for bad in ["", "10.0.0.1", "10.0.0.1/33", "10.0.0.1/-1", "10.0.0.1/+8", "10.0.0.1/", "10.0.0/8", "::1/129"] {
            assert!(prefix(bad, "p", "x").is_err(), "{bad}");
        }
        for bad in ["0.0.0.0/8", "10.0.0.1/0", "224.0.0.1/24", "255.255.255.255/32"] {
            assert!(host_address4(bad, "p").is_err(), "{bad}");
        }
        for bad in ["02:00:00:00:00", "02:00:00:00:00:0g", "2:0:0:0:0:1", "01:00:00:00:00:01", "00:00:00:00:00:00"] {
            assert!(mac(bad, "p").is_err(), "{bad}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "a:b", "eth%d", "0123456789abcdef", "a\tb"] {
            assert!(interface_name(bad, "p").is_err(), "{bad}");
        }
        assert_eq!(mac("02:00:00:AA:00:01", "p").unwrap().to_string(), "02:00:00:aa:00:01");
    }
}
