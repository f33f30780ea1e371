//! The counters of a network namespace's interfaces.

use nix::errno::Errno;

use super::report::Interface;
use crate::error::Result;
use crate::sys::procfs;

/// Reads the counters as processes in the network namespace of `pid` see them. None if it has ended.
pub fn interfaces(pid: i32) -> Result<Vec<Interface>> {
    let doing = || format!("reading the network counters of process {pid}");
    let path = format!("{pid}/net/dev");
    let text = match procfs::read_optional(&path) {
        Err(error) if error.errno == Some(Errno::EINVAL) => None,
        other => other.map_err(|error| error.context(doing()))?,
    };
    Ok(text.unwrap_or_default().lines().skip(2).filter_map(interface).collect())
}

/// Parses "  eth0: 1 2 …": bytes, packets, errors, drops, and four more received counters; then the same for sent.
fn interface(line: &str) -> Option<Interface> {
    let (name, numbers) = line.split_once(':')?;
    let numbers: Vec<u64> = numbers.split_whitespace().map_while(|number| number.parse().ok()).collect();
    let at = |index: usize| numbers.get(index).copied();
    Some(Interface {
        name: name.trim().to_owned(),
        rx_bytes: at(0)?,
        rx_packets: at(1)?,
        rx_errors: at(2)?,
        rx_dropped: at(3)?,
        tx_bytes: at(8)?,
        tx_packets: at(9)?,
        tx_errors: at(10)?,
        tx_dropped: at(11)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let found = interface("  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16").unwrap();
        assert_eq!((found.name.as_str(), found.rx_bytes, found.rx_dropped), ("eth0", 1, 4));
        assert_eq!((found.tx_bytes, found.tx_dropped), (9, 12));
        assert!(interface("eth0: 1 2").is_none());
    }
}
