//! Ways to dump memory: to images, on top of parent images, to a page server, and lazily.

use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;

use berth::{Runtime, Settings};

use crate::common::{criu, eventually, leftovers};
use crate::place::{Place, Running};
use crate::programs::*;
use crate::support::text;

fn heavy_place() -> Place {
    let place = Place::new(heavy);
    place.counts_on();
    place
}

/// Returns whether this kernel and CRIU support a feature.
fn can(place: &Place, name: &str) -> bool {
    let settings = Settings { root: place.cli.root(), criu: Some(criu()), ..Settings::default() };
    feature(&Runtime::new(settings).unwrap(), name)
}

#[test]
fn page_server_gets_the_memory() {
    let place = heavy_place();
    let (sent, arrived) = (place.images("sent"), place.images("arrived"));
    std::fs::create_dir(&arrived).unwrap();
    let mut server = page_server(&arrived);
    place.checkpoint("sent", &["--page-server", &format!("127.0.0.1:{}", server.1)]);
    eventually("the page server ends", || server.0.try_wait().unwrap().is_some());
    assert!(pages(&arrived) > 4_000_000 && pages(&sent) == 0, "{} {}", pages(&arrived), pages(&sent));
    for file in leftovers::files(&sent) {
        std::fs::copy(&file, arrived.join(file.file_name().unwrap())).unwrap();
    }
    place.restore("arrived", &[]);
    place.counts_on();
    place.no_checkpoint("--page-server", &["--page-server", "nowhere"]);
}

#[test]
fn a_parent_path_is_relative_and_there() {
    let place = Place::new(heavy);
    place.no_checkpoint("--parent-path must be relative", &["--parent-path", "/tmp"]);
    place.no_checkpoint("invalid --parent-path", &["--parent-path", "../nothing"]);
}

#[test]
fn pre_dump_parent_path_and_auto_dedup_leave_what_has_changed() {
    let place = heavy_place();
    if !can(&place, "memoryTracking") {
        place.no_checkpoint("this kernel has no memory tracking", &["--pre-dump"]);
        std::fs::create_dir(place.images("first")).unwrap();
        return place.no_checkpoint("this kernel has no memory tracking", &["--parent-path", "../first"]);
    }
    place.checkpoint("first", &["--pre-dump"]);
    assert_eq!(place.cli.status("c1"), "running");
    place.counts_on();
    let before = held(&place.images("first"));
    place.checkpoint("last", &["--parent-path", "../first", "--auto-dedup"]);
    let sizes = ["first", "last"].map(|name| pages(&place.images(name)));
    assert!(sizes[0] > 4_000_000 && sizes[1] < sizes[0] / 4, "{sizes:?}");
    assert!(held(&place.images("first")) < before, "what has changed is in the last images alone");
    place.restore("last", &[]);
    place.counts_on();
}

#[test]
fn auto_dedup_needs_a_parent_and_uses_up_the_images_of_a_restore() {
    let place = heavy_place();
    place.no_checkpoint("auto-dedup", &["--auto-dedup"]);
    place.checkpoint("images", &[]);
    let before = held(&place.images("images"));
    place.restore("images", &["--auto-dedup"]);
    place.counts_on();
    let after = held(&place.images("images"));
    assert!(after < before / 2, "{before} {after}");
}

/// Passes the descriptor to the command under the same number.
fn inherit(command: &mut Command, fd: &OwnedFd) {
    use std::os::unix::process::CommandExt;
    let fd = fd.as_raw_fd();
    // SAFETY: the closure only makes a system call.
    unsafe {
        command.pre_exec(move || match libc::fcntl(fd, libc::F_SETFD, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

/// On some kernels CRIU hangs when the pages are requested: the test runs completely only in the virtual machine.
#[test]
fn lazy_pages_are_loaded_on_use_and_status_fd_reports_the_server() {
    let place = heavy_place();
    place.no_checkpoint("lazy", &["--lazy-pages"]);
    place.no_checkpoint("status", &["--status-fd", "2"]);
    let port = free_port().to_string();
    let server = format!("127.0.0.1:{port}");
    let lazy = ["--lazy-pages", "--page-server", &server];
    if !can(&place, "lazyPages") {
        return place.no_checkpoint("lazy", &lazy);
    }
    place.no_checkpoint("9999, which is not an open descriptor", &[&lazy[..], &["--status-fd", "9999"]].concat());
    let (mut ready, status) = std::io::pipe().unwrap();
    let status = OwnedFd::from(status);
    let (images, work) = (place.images("images"), place.images("work"));
    std::fs::create_dir(&images).unwrap();
    std::fs::create_dir(&work).unwrap();
    let number = status.as_raw_fd().to_string();
    let mut dump = place.command(&["checkpoint", "--image-path", text(&images)]);
    dump.args(lazy).args(["--status-fd", &number, "c1"]);
    inherit(&mut dump, &status);
    let mut dump = Running::new(&mut dump);
    drop(status);
    let mut byte = [1];
    ready.read_exact(&mut byte).unwrap();
    assert_eq!(byte, [0], "pages can be requested");
    if std::env::var_os("BERTH_VM").is_none() {
        assert!(dump.0.try_wait().unwrap().is_none(), "it waits for somebody who asks");
        drop(dump);
        place.cli.ok(&["recover"]);
        return place.counts_on();
    }
    let mut daemon = Command::new(criu());
    daemon.args(["lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", &port, "--images-dir"]);
    let mut daemon = Running::new(daemon.arg(&images).arg("--work-dir").arg(&work));
    eventually("the daemon listens", || work.join("lazy-pages.socket").exists());
    // The other container still exists, and so do its cgroups.
    let elsewhere = place.cli.bundle(&heavy(&place.data));
    let restore = ["restore", "-d", "--lazy-pages", "-b", text(&elsewhere), "--image-path", text(&images)];
    let outcome = place.berth(&[&restore[..], &["--work-path", text(&work), "c2"]].concat());
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""), "{outcome:?}");
    place.counts_on();
    assert_eq!((dump.end(), daemon.end()), (0, 0));
    place.counts_on();
    assert!(pages(&images) < 4_000_000, "the memory never was in the images");
}
