//! Failures of the CRIU program: missing, too old, answering wrongly, silent or dead. Each one is a single error, and
//! the container keeps running.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use berth::criu::{CheckpointOptions, PageServer};
use berth::{Code, Stage, Status};
use serde_json::Value;

use crate::common::*;
use crate::support::*;

#[test]
fn features_of_criu_are_reported() {
    let test = test_runtime();
    let report: Value = serde_json::from_str(&test.runtime.criu_check_json().unwrap()).unwrap();
    assert_eq!(report["path"], criu().to_str().unwrap());
    let version = report["version"].as_str().unwrap();
    assert!(version.split('.').next().unwrap().parse::<u32>().unwrap() >= 3, "{report}");
    assert_eq!(report["usable"], true);
    assert_eq!(report["kernel"]["supported"], true, "{report}");
    assert!(!report["kernel"]["says"].as_array().unwrap().is_empty(), "{report}");
    assert!(report["features"]["memoryTracking"].is_boolean() && report["features"]["lazyPages"].is_boolean());
}

#[test]
fn without_criu_the_error_says_so() {
    let test = test_runtime_with(Path::new("/nowhere/criu"));
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    for error in
        [container.checkpoint(&into(&test.images("images"))).unwrap_err(), test.runtime.criu_check_json().unwrap_err()]
    {
        assert_eq!(error.code, Code::Unsupported);
        assert!(error.message.contains("/nowhere/criu"), "{error}");
    }
    assert!(!test.images("images").exists());
    end(container);
}

/// Creates a fake CRIU that only answers `-V` correctly; `conversation` is a shell script with the socket as descriptor
/// 3.
fn false_criu(test: &TestRuntime, conversation: &str) -> std::path::PathBuf {
    let path = test.path("criu");
    script(&path, &format!("if [ \"$1\" = -V ]; then echo 'Version: 4.1'; exit; fi\n{conversation}"));
    path
}

/// Returns the error of a checkpoint with a fake CRIU; the container must keep running.
fn failed(conversation: &str, timeout: Option<Duration>) -> berth::Error {
    let mut test = test_runtime();
    test.runtime = runtime(&test.path("state"), &false_criu(&test, conversation));
    let data = test.data();
    let container = test.run(&counter(&data), &quiet()).unwrap();
    let options = CheckpointOptions { timeout, ..into(&test.images("images")) };
    let error = container.checkpoint(&options).unwrap_err();
    assert_eq!(error.stage, Stage::Criu, "{error}");
    assert_eq!(container.status().unwrap(), Status::Running);
    assert!(!test.images("images").exists());
    counts_on(&data);
    end(container);
    error
}

#[test]
fn a_criu_that_exits_is_an_error_with_its_output() {
    let error = failed("echo no library >&2; exit 127", None);
    assert_eq!(error.code, Code::Criu);
    assert!(error.message.contains("CRIU exited with status 127 before it answered: no library"), "{error}");
    assert!(error.detail["output"].as_str().unwrap().contains("no library"));
    assert!(failed("kill -9 $$", None).message.contains("was killed by SIGKILL"));
}

/// CRIU probes the kernel in child processes, which would otherwise stay stopped forever.
#[test]
fn the_children_of_a_criu_that_exits_are_killed() {
    let mut test = test_runtime();
    let pid_file = test.path("child");
    let conversation = format!("sleep 1000 & echo $! > {}; kill -9 $$", pid_file.display());
    test.runtime = runtime(&test.path("state"), &false_criu(&test, &conversation));
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    container.checkpoint(&into(&test.images("images"))).unwrap_err();
    let child = std::fs::read_to_string(&pid_file).unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    eventually("its child is gone", || state().is_empty() || state().contains(") Z "));
    end(container);
}

#[test]
fn a_criu_that_closes_its_socket_is_not_waited_for() {
    let error = failed("exec 3>&-; exec sleep 1000", None);
    assert!(error.message.contains("closed its socket"), "{error}");
}

#[test]
fn a_criu_that_hangs_is_killed_at_the_deadline() {
    let error = failed("exec sleep 1000", Some(Duration::from_secs(5)));
    assert_eq!(error.code, Code::Timeout);
    assert!(error.message.contains("did not finish in time, and was killed"), "{error}");
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    let error = failed("printf nonsense >&3; exec sleep 1000", None);
    assert_eq!(error.code, Code::Criu);
    assert!(error.message.contains("violated its protocol: it sent 8 bytes"), "{error}");
    // A successful answer to another request: type VERSION (10).
    let error = failed(r"printf '\010\012\020\001' >&3; exec sleep 1000", None);
    assert!(error.message.contains("a response of type VERSION to a request of type DUMP"), "{error}");
    // A notification (type 6) without a name.
    let error = failed(r"printf '\010\006\020\001' >&3; exec sleep 1000", Some(Duration::from_secs(5)));
    assert!(error.message.contains("an empty notification"), "{error}");
}

#[test]
fn a_failed_answer_has_crius_errno() {
    // Type DUMP, success false, errno (field 7) 28.
    let error = failed(r"printf '\010\001\020\000\070\034' >&3; exec sleep 1000", None);
    assert_eq!(error.errno, Some(nix::errno::Errno::ENOSPC));
    assert_eq!(error.detail["criu_errno"], 28);
    assert!(error.message.contains("CRIU failed (no space left on device)"), "{error}");
}

/// A message of far more than a page must not be truncated.
#[test]
fn an_answer_of_any_size_is_read() {
    // Type DUMP, success false, message (field 9) of 100,000 bytes.
    let answer = r#"{ printf '\010\001\020\000\112\240\215\006'; head -c 100000 /dev/zero | tr '\0' x; } > "$0.answer"
        dd if="$0.answer" bs=200000 count=1 2>/dev/null >&3; exec sleep 1000"#;
    let error = failed(answer, None);
    assert_eq!(error.detail["criu_message"].as_str().unwrap().len(), 100_000, "{error}");
}

#[test]
fn an_old_criu_is_refused_before_anything_is_touched() {
    let mut test = test_runtime();
    let path = test.path("criu");
    script(&path, "echo 'Version: 3.14'");
    test.runtime = runtime(&test.path("state"), &path);
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let error = container.checkpoint(&into(&test.images("images"))).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (Code::Unsupported, "CRIU 3.14 is too old; expected 3.15 or newer")
    );
    assert!(!test.images("images").exists());
    end(container);
}

/// A request with so many external mounts that it exceeds the default socket buffer.
#[test]
fn a_request_of_any_size_arrives() {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    let long = "x".repeat(200);
    for number in 0..700 {
        let source = test.path("data");
        let destination = format!("/tmp/{long}/{number}");
        let mount =
            serde_json::json!({ "destination": destination, "type": "bind", "source": source, "options": ["bind"] });
        push_mount(&mut config, mount);
    }
    push_mount(&mut config, serde_json::json!({ "destination": "/tmp", "type": "tmpfs", "source": "tmpfs" }));
    let mounts = config["mounts"].as_array_mut().unwrap();
    let tmpfs = mounts.pop().unwrap();
    mounts.insert(1, tmpfs);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let options = CheckpointOptions { leave_running: true, ..into(&test.images("images")) };
    checkpoint(&container, &options);
    counts_on(&data);
    end(container);
}

/// Returns the error of a checkpoint with lazy pages that reports to this descriptor, with a fake CRIU that can dump them.
fn failed_with_lazy_pages(status: &OwnedFd, timeout: Duration) -> berth::Error {
    let mut test = test_runtime();
    // A response of type FEATURE_CHECK (9) with lazy pages, or the notification "status-ready".
    let conversation = r#"set -- $(dd bs=65536 count=1 <&3 2>/dev/null | od -An -tu1 -N2)
        if [ "$2" = 9 ]; then printf '\010\011\020\001\102\002\020\001' >&3; exec sleep 1000; fi
        printf '\010\006\020\001\052\016\012\014status-ready' >&3
        dd bs=65536 count=1 <&3 >/dev/null 2>&1; exit 1"#;
    test.runtime = runtime(&test.path("state"), &false_criu(&test, conversation));
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let options = CheckpointOptions {
        lazy_pages: true,
        page_server: Some(PageServer { address: "127.0.0.1".parse().unwrap(), port: 1 }),
        status_fd: Some(status.as_raw_fd()),
        timeout: Some(timeout),
        ..into(&test.images("images"))
    };
    let error = container.checkpoint(&options).unwrap_err();
    assert!(error.message.contains("reporting that lazy pages can be requested"), "{error}");
    assert_eq!(container.status().unwrap(), Status::Running);
    assert!(!test.images("images").exists());
    end(container);
    error
}

/// The thread whose SIGPIPE is noticed, and 0 once it has got one.
static EXPECTED: AtomicI32 = AtomicI32::new(-1);

extern "C" fn notice(_: libc::c_int) {
    // SAFETY: gettid has no requirements, and may be called in a signal handler.
    let thread = unsafe { libc::gettid() };
    let _ = EXPECTED.compare_exchange(thread, 0, Ordering::SeqCst, Ordering::SeqCst);
}

#[test]
fn a_status_descriptor_without_a_reader_is_an_error_and_no_signal() {
    let (read, status) = std::io::pipe().unwrap();
    drop(read);
    // SAFETY: the handler only calls functions that may be called in one; no other test depends on the disposition.
    let thread = unsafe {
        libc::signal(libc::SIGPIPE, notice as extern "C" fn(libc::c_int) as libc::sighandler_t);
        libc::gettid()
    };
    EXPECTED.store(thread, Ordering::SeqCst);
    let error = failed_with_lazy_pages(&status.into(), Duration::from_secs(60));
    let seen = EXPECTED.swap(-1, Ordering::SeqCst);
    // SAFETY: as the Rust runtime had it.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    assert_eq!(error.errno, Some(nix::errno::Errno::EPIPE), "{error}");
    assert_eq!(seen, thread, "the caller gets no signal");
}

#[test]
fn a_status_descriptor_that_nobody_reads_is_waited_for_until_the_deadline() {
    let (_read, status) = std::io::pipe().unwrap();
    let status = OwnedFd::from(status);
    // A pipe holds sixteen pages.
    for _ in 0..16 {
        nix::unistd::write(&status, &[0; 4096]).unwrap();
    }
    let error = failed_with_lazy_pages(&status, Duration::from_secs(5));
    assert_eq!(error.code, Code::Timeout, "{error}");
}
