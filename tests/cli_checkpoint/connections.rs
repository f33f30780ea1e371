//! Network connections of a container: dumped, closed or left out, and how packets are blocked in between.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Duration;

use crate::common::{LONG, eventually, set_capabilities, shell, unique, without_namespace};
use crate::links::own_network;
use crate::place::Place;
use crate::support::text;

const PORT: u16 = 7000;

/// A container in the test's network namespace that echoes its one connection; and the other end of the connection.
fn echo() -> (Place, TcpStream) {
    own_network();
    let place = Place::new(|_| {
        let mut config = shell(&format!("exec nc -l -p {PORT} -e cat"));
        without_namespace(&mut config, "network");
        config
    });
    let mut connection = None;
    eventually("it listens", || {
        connection = TcpStream::connect(("127.0.0.1", PORT)).ok();
        connection.is_some()
    });
    let mut connection = connection.unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(LONG as u64))).unwrap();
    answers(&mut connection, "before");
    (place, connection)
}

fn answers(connection: &mut TcpStream, word: &str) {
    connection.write_all(word.as_bytes()).unwrap();
    heard(connection, word);
}

fn heard(connection: &mut TcpStream, word: &str) {
    let mut answer = vec![0; word.len()];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), word);
}

#[test]
fn tcp_established_keeps_connections() {
    let (place, mut connection) = echo();
    place.no_checkpoint("allow established TCP connections", &[]);
    answers(&mut connection, "still here");
    place.checkpoint("images", &["--tcp-established"]);
    // No process has the socket, and no reset is sent.
    connection.write_all(b"meanwhile").unwrap();
    place.no_restore("allow established TCP connections", "images", &[]);
    place.restore("images", &["--tcp-established"]);
    heard(&mut connection, "meanwhile");
    answers(&mut connection, "afterwards");
}

#[test]
fn tcp_close_ends_them() {
    let (place, _connection) = echo();
    place.checkpoint("images", &["--tcp-established"]);
    let images = place.images("images");
    let restore = ["restore", "-b", text(&place.bundle), "--image-path", text(&images), "--tcp-close", "c1"];
    // The program sees the connection closed.
    assert_eq!(place.spawn(&restore).end(), 0);
}

#[test]
fn tcp_skip_in_flight_leaves_out_connections_that_were_not_accepted() {
    own_network();
    let place = Place::with_workload(&["listen", "7001"], |config| without_namespace(config, "network"));
    let first = TcpStream::connect(("127.0.0.1", 7001)).unwrap();
    place.no_checkpoint("skip TCP connections in flight", &[]);
    place.checkpoint("images", &["--tcp-skip-in-flight"]);
    drop(first);
    place.restore("images", &[]);
    let _second = TcpStream::connect(("127.0.0.1", 7001)).unwrap();
    place.survives();
}

/// Without a network lock the first packet that finds no socket resets the connection.
#[test]
fn network_lock_holds_packets_back_or_not() {
    for method in ["nftables", "iptables"] {
        if method == "iptables" && !iptables() {
            continue;
        }
        let (place, mut connection) = echo();
        place.checkpoint("images", &["--tcp-established", "--network-lock", method]);
        connection.write_all(b"meanwhile").unwrap();
        place.restore("images", &["--tcp-established"]);
        heard(&mut connection, "meanwhile");
    }
    let (place, mut connection) = echo();
    place.checkpoint("images", &["--tcp-established", "--network-lock=skip"]);
    connection.write_all(b"meanwhile").unwrap();
    let error = connection.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    place.cli.fails(1, "--network-lock", &["checkpoint", "--network-lock", "prayer", "c1"]);
}

/// Returns whether iptables is installed and works on this kernel.
fn iptables() -> bool {
    Command::new("iptables").args(["-S"]).output().is_ok_and(|output| output.status.success())
}

#[test]
fn ext_unix_sk_keeps_sockets_connected_to_the_outside() {
    let name = unique("outside");
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let outside = UnixDatagram::bind_addr(&address).unwrap();
    outside.set_read_timeout(Some(Duration::from_millis(LONG as u64))).unwrap();
    // Abstract sockets of the host are visible only in its network namespace.
    let place = Place::with_workload(&[&name], |config| without_namespace(config, "network"));
    place.no_checkpoint("allow external unix sockets", &[]);
    place.checkpoint("images", &["--ext-unix-sk"]);
    place.restore("images", &["--ext-unix-sk"]);
    place.survives();
    let mut word = [0; 8];
    let length = outside.recv(&mut word).unwrap();
    assert_eq!(&word[..length], b"hello");
}

#[test]
fn links_that_are_not_libberths_are_left_behind_with_and_without_empty_ns() {
    let place = Place::new(|data| {
        let mut config = shell("ip link add mine type bridge && echo > /data/made; exec sleep 1000");
        set_capabilities(&mut config, &["CAP_NET_ADMIN", "CAP_KILL"]);
        crate::programs::with_data(&mut config, data);
        config
    });
    eventually("it has its link", || place.data.join("made").exists());
    let links = || place.cli.ok(&["exec", "c1", "ls", "/sys/class/net"]);
    assert_eq!(links(), "lo\nmine\n");
    place.checkpoint("default", &["--leave-running"]);
    place.checkpoint("empty", &["--empty-ns", "network"]);
    place.restore("default", &[]);
    assert_eq!(links(), "lo\n");
    place.delete();
    place.restore("empty", &["--empty-ns", "network"]);
    assert_eq!(links(), "lo\n");
    place.cli.fails(1, "--empty-ns", &["checkpoint", "--empty-ns", "pid", "c1"]);
}
