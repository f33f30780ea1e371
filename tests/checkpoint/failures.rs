//! Checkpoints and restores that fail midway: the dumped container keeps running, nothing is left, and the error names
//! a remedy.

use std::path::{Path, PathBuf};

use berth::criu::CheckpointOptions;
use berth::{Code, Container, Status};
use serde_json::json;

use crate::common::*;
use crate::support::*;

/// Creates a CRIU that is killed at the notification `script`: a relay between the library and the real CRIU kills it
/// before the library sees the notification.
fn criu_killed_at(test: &TestRuntime, script: &str) -> PathBuf {
    let path = test.path(&format!("criu-killed-at-{script}"));
    let relay = test.path("relay.py");
    std::fs::write(&relay, RELAY).unwrap();
    let text = format!(
        "if [ \"$1\" != swrk ]; then exec {criu} \"$@\"; fi\nexec python3 {relay} {criu} {script} {log}",
        criu = criu().display(),
        relay = relay.display(),
        log = test.path("notifications").display()
    );
    crate::common::script(&path, &text);
    path
}

/// Returns the notifications that CRIU has sent through the relay, without duplicates.
fn notifications(test: &TestRuntime) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in std::fs::read_to_string(test.path("notifications")).unwrap().lines() {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Passes messages between descriptor 3 and the real CRIU, in both directions, up to the notification at which it kills
/// CRIU.
const RELAY: &str = r#"
import os, re, signal, socket, subprocess, sys
criu, script, log = sys.argv[1], sys.argv[2].encode(), open(sys.argv[3], "ab", 0)
host = socket.socket(fileno=os.dup(3))
# CRIU resolves directory descriptors in the process at the other end of its socket, which is the relay, so the relay
# opens the directories again.
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
inherited = [fd for fd in range(4, 64) if os.path.exists(f"/proc/self/fd/{fd}") and fd not in (ours.fileno(), theirs.fileno())]
request = host.recv(1 << 20)
def directories(message, parent):
    # In the request, opts is field 2; within it, images_dir_fd is field 1 and work_dir_fd field 17, both varints.
    def varint(data, at):
        value = shift = 0
        while True:
            byte = data[at]; at += 1
            value |= (byte & 127) << shift; shift += 7
            if not byte & 128: return value, at
    def encode(value):
        out = b""
        while True:
            out += bytes([value & 127 | (128 if value > 127 else 0)]); value >>= 7
            if not value: return out
    def walk(data, options):
        at, out = 0, b""
        while at < len(data):
            start = at
            key, at = varint(data, at)
            field, kind = key >> 3, key & 7
            if kind == 0:
                value, at = varint(data, at)
                if options and field in (1, 17):
                    value = os.open(f"/proc/{parent}/fd/{value}", os.O_RDONLY | os.O_DIRECTORY)
                out += encode(key) + encode(value)
            elif kind == 2:
                length, at = varint(data, at)
                body = data[at:at + length]; at += length
                if not options and field == 2: body = walk(body, True)
                out += encode(key) + encode(len(body)) + body
            else:
                sys.exit("an unexpected kind of field")
        return out
    return walk(message, False)
request = directories(request, os.getppid())
os.dup2(theirs.fileno(), 3, inheritable=True)
child = subprocess.Popen([criu, "swrk", "3"], pass_fds=[3] + inherited, start_new_session=False)
theirs.close()
message = request
while True:
    ours.send(message)
    answer = ours.recv(1 << 20)
    # A notification has type 6; its name is the first member of its payload, and the only string.
    name = b"".join(re.findall(rb"\x0a[\x01-\x40]([a-z-]{4,})", answer)) if answer[:2] == b"\x08\x06" else b""
    if name: log.write(name + b"\n")
    if name == script:
        child.send_signal(signal.SIGKILL)
        child.wait()
        os.kill(os.getpid(), signal.SIGKILL)
    if not answer:
        sys.exit(child.wait())
    host.send(answer)
    message = host.recv(1 << 20)
    if not message:
        ours.close()
        sys.exit(child.wait())
"#;

/// Checks that the container runs, can be paused, is not traced, and reaches its network.
fn is_unharmed(container: &Container, data: &Path) {
    assert_eq!(container.status().unwrap(), Status::Running);
    counts_on(data);
    for pid in container.pids().unwrap() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        assert!(status.is_empty() || status_line(&status, "TracerPid") == "0", "{status}");
    }
    exec_shell(container, "ping -c 1 -W 20 127.0.0.1 > /dev/null");
    container.pause().unwrap();
    container.resume().unwrap();
    counts_on(data);
}

fn counting(data: &Path) -> serde_json::Value {
    let mut config = counter(data);
    set_capabilities(&mut config, &["CAP_NET_RAW", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    config
}

/// Kills CRIU at each notification of a dump; a pre-dump has none.
#[test]
fn a_criu_killed_while_it_dumps_leaves_the_container_unharmed() {
    let wanted = |images: &Path| CheckpointOptions { leave_running: true, ..into(images) };
    let mut test = test_runtime();
    let data = test.data();
    let state = test.path("state");
    test.runtime = runtime(&state, &criu_killed_at(&test, "none-of-them"));
    let container = test.run(&counting(&data), &quiet()).unwrap();
    counts_on(&data);
    checkpoint(&container, &wanted(&test.images("whole")));
    let scripts = notifications(&test);
    let known = ["pre-dump", "network-lock", "post-dump", "network-unlock"];
    assert!(known.iter().all(|name| scripts.iter().any(|script| script == name)), "{scripts:?}");
    let id = container.id().to_owned();
    drop(container);
    for script in &scripts {
        let container = runtime(&state, &criu_killed_at(&test, script)).load(&id).unwrap();
        let mounts = leftovers::mounts("criu");
        let work = test.path("work");
        let options = CheckpointOptions { work: Some(work.clone()), ..wanted(&test.images("images")) };
        let error = container.checkpoint(&options).unwrap_err();
        assert_eq!(error.code, Code::Criu, "{script}: {error}");
        assert!(error.message.contains("was killed by SIGKILL"), "{script}: {error}");
        is_unharmed(&container, &data);
        assert_eq!(leftovers::mounts("criu"), mounts, "{script}");
        assert_eq!(leftovers::mounts(test.dir.path().to_str().unwrap()), Vec::<String>::new(), "{script}");
        assert!(!test.images("images").exists(), "{script}");
        let litter: Vec<_> = leftovers::files(&work).into_iter().filter(|file| file.is_dir()).collect();
        assert!(litter.is_empty(), "{script}: {litter:?}");
    }
    // With the real CRIU the container can be dumped.
    let container = runtime(&state, &criu()).load(&id).unwrap();
    checkpoint(&container, &into(&test.images("images")));
    end(container);
}

#[test]
fn a_criu_killed_while_it_restores_leaves_nothing() {
    let mut test = test_runtime();
    let data = test.data();
    let config = counting(&data);
    test.dumped(&config, &data, &into(&test.images("images")));
    let (files, stood_at) = (Files::of(&data), count(&data));
    let state = test.path("state");
    test.runtime = runtime(&state, &criu_killed_at(&test, "none-of-them"));
    end(test.restored(&config, &test.images("images")));
    files.put_back();
    let scripts = notifications(&test);
    let known =
        ["pre-restore", "setup-namespaces", "post-setup-namespaces", "post-restore", "network-unlock", "pre-resume"];
    assert!(known.iter().all(|name| scripts.iter().any(|script| script == name)), "{scripts:?}");
    for script in &scripts {
        test.runtime = runtime(&state, &criu_killed_at(&test, script));
        let id = unique("killed");
        let images = from(&test.images("images"));
        let restored = Container::restore(&test.runtime, &id, &test.config(&config), &images);
        if script == "post-resume" {
            // The restored processes run already, so restore succeeds or fails completely.
            restored.map(end).unwrap_or_else(|error| assert_eq!(error.code, Code::Criu, "{error}"));
        } else {
            let error = restored.unwrap_err();
            assert_eq!(error.code, Code::Criu, "{script}: {error}");
            assert_eq!(error.detail.get("cleanup"), None, "{script}: {error:?}");
            // Killed at pre-resume, CRIU releases processes that are complete and run for a moment before they are
            // killed.
            assert!(count(&data) == stood_at || script == "pre-resume", "{script}: it has run");
        }
        assert_eq!(leftovers::cgroups(&id), Vec::<PathBuf>::new(), "{script}");
        files.put_back();
        assert_eq!(leftovers::files(&state), Vec::<PathBuf>::new(), "{script}");
        assert_eq!(leftovers::mounts(test.dir.path().to_str().unwrap()), Vec::<String>::new(), "{script}");
    }
    test.runtime = runtime(&state, &criu());
    end(test.restored(&config, &test.images("images")));
}

#[test]
fn a_full_image_directory_is_an_error_and_the_container_continues() {
    let test = test_runtime();
    let data = test.data();
    let container = test.run(&counting(&data), &quiet()).unwrap();
    counts_on(&data);
    let full = test.make_dir("full");
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&full).status();
    assert!(mounted.unwrap().success());
    let error = container.checkpoint(&into(&full.join("images"))).unwrap_err();
    let made = full.join("images").exists();
    assert!(std::process::Command::new("umount").arg("-l").arg(&full).status().unwrap().success());
    assert_eq!(error.code, Code::Criu, "{error}");
    assert!(error.message.contains("free space in the image directory"), "{error}\n{}", log_tail(&error));
    assert!(!made, "what was made for the images is gone");
    is_unharmed(&container, &data);
    end(container);
}

#[test]
fn an_image_directory_that_cannot_be_written_is_an_error_before_anything_is_touched() {
    let test = test_runtime();
    let data = test.data();
    let container = test.run(&counting(&data), &quiet()).unwrap();
    counts_on(&data);
    let readonly = test.make_dir("readonly");
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "ro", "tmpfs"]).arg(&readonly).status();
    assert!(mounted.unwrap().success());
    let errors = [readonly.join("images"), readonly.clone(), "/dev/null".into(), "".into()]
        .map(|images| container.checkpoint(&CheckpointOptions::into_directory(images)).err());
    assert!(std::process::Command::new("umount").arg("-l").arg(&readonly).status().unwrap().success());
    assert_eq!(errors[0].as_ref().unwrap().errno, Some(nix::errno::Errno::EROFS));
    assert_eq!(errors[1].as_ref().unwrap().errno, Some(nix::errno::Errno::EROFS));
    assert!(errors[2].as_ref().unwrap().message.contains("/dev/null"));
    assert_eq!(errors[3].as_ref().unwrap().code, Code::InvalidArgument);
    is_unharmed(&container, &data);
    end(container);
}

#[test]
fn a_directory_without_a_checkpoint_is_an_error_that_says_so() {
    let test = test_runtime();
    let empty = test.make_dir("empty");
    let error = test.restore(&shell("exit"), &from(&empty)).unwrap_err();
    assert!(error.message.ends_with("has no descriptors.json: it holds no checkpoint"), "{error}");
    std::fs::write(empty.join("descriptors.json"), json!(["/dev/null", "/dev/null", "/dev/null"]).to_string()).unwrap();
    let error = test.restore(&shell("exit"), &from(&empty)).unwrap_err();
    assert_eq!(error.code, Code::Criu, "{error}");
    assert_eq!(test.runtime.ids().unwrap(), Vec::<String>::new());
    assert_eq!(leftovers::files(&test.path("state")), Vec::<PathBuf>::new());
}

#[test]
fn an_id_that_is_taken_is_not_touched() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let options = CheckpointOptions { leave_running: true, ..into(&test.images("images")) };
    checkpoint(&container, &options);
    let restored =
        Container::restore(&test.runtime, container.id(), &test.config(&config), &from(&test.images("images")));
    assert_eq!(restored.unwrap_err().code, Code::IdInUse);
    counts_on(&data);
    end(container);
}
