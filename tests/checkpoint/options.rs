//! Each option has its effect, or is refused with a reason.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use berth::criu::{CgroupMode, CgroupRoot, CheckpointOptions, PageServer, RestoreOptions};
use berth::{Code, Container};
use serde_json::{Value, json};

use crate::common::*;
use crate::support::*;

/// auto_dedup removes pages from the images as they are read.
#[test]
fn a_restore_with_auto_dedup_uses_up_the_images() {
    let test = test_runtime();
    let data = test.data();
    let config = heavy(&data);
    let images = test.images("images");
    test.dumped(&config, &data, &into(&images));
    let before = held(&images);
    let options = RestoreOptions { auto_dedup: true, ..from(&images) };
    let restored = test.restore(&config, &options).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    counts_on(&data);
    assert!(held(&images) < before / 2, "{before} {}", held(&images));
    end(restored);
}

/// An open file was unlinked but has another name: with link_remap, CRIU links it under a temporary name until the
/// restore.
#[test]
fn an_unlinked_file_with_another_link_needs_an_option() {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    let open = "exec 5>>/data/one; ln /data/one /data/two; rm /data/one;";
    let script = config["process"]["args"][2].as_str().unwrap().replace("mv /data/new", "echo $n >&5; mv /data/new");
    config["process"]["args"][2] = json!(format!("{open} {script}"));
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let error = container.checkpoint(&into(&test.images("refused"))).unwrap_err();
    assert!(error.message.contains("allow link remaps"), "{error}\n{}", log_tail(&error));
    counts_on(&data);
    let options = CheckpointOptions { link_remap: true, ..into(&test.images("images")) };
    checkpoint(&container, &options);
    end(container);
    let length = || std::fs::metadata(data.join("two")).unwrap().len();
    let before = length();
    let restored = test.restored(&config, &test.images("images"));
    eventually("it writes into the file", || length() > before);
    let names: Vec<_> =
        leftovers::files(&data).into_iter().filter(|file| file.to_string_lossy().contains("remap")).collect();
    assert!(names.is_empty(), "{names:?}");
    end(restored);
}

/// Migration from one state root to another: the memory through a page server, the other images by copying.
#[test]
fn a_container_moves_to_another_state_root_through_a_page_server() {
    let test = test_runtime();
    let data = test.data();
    let config = heavy(&data);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let (sent, arrived) = (test.images("sent"), test.make_dir("arrived"));
    let mut server = page_server(&arrived);
    let address = PageServer { address: "127.0.0.1".parse().unwrap(), port: server.1 };
    checkpoint(&container, &CheckpointOptions { page_server: Some(address), ..into(&sent) });
    eventually("the page server ends", || server.0.try_wait().unwrap().is_some());
    assert!(pages(&arrived) > 4_000_000 && pages(&sent) == 0, "{} {}", pages(&arrived), pages(&sent));
    for file in leftovers::files(&sent) {
        std::fs::copy(&file, arrived.join(file.file_name().unwrap())).unwrap();
    }
    end(container);
    let target = runtime(&test.path("target"), &criu());
    let moved = Container::restore(&target, &unique("moved"), &test.config(&config), &from(&arrived))
        .unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    counts_on(&data);
    end(moved);
}

#[test]
fn a_dump_after_a_pre_dump_has_only_what_has_changed() {
    let test = test_runtime();
    let data = test.data();
    let config = heavy(&data);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let first = CheckpointOptions { pre_dump: true, ..into(&test.images("first")) };
    if !feature(&test.runtime, "memoryTracking") {
        let error = container.checkpoint(&first).unwrap_err();
        assert_eq!(error.code, Code::Unsupported);
        assert!(error.message.contains("this kernel has no memory tracking"), "{error}");
        assert!(!test.images("first").exists());
        counts_on(&data);
        return end(container);
    }
    checkpoint(&container, &first);
    counts_on(&data);
    let second =
        CheckpointOptions { pre_dump: true, parent_images: Some("../first".into()), ..into(&test.images("second")) };
    checkpoint(&container, &second);
    counts_on(&data);
    let before = held(&test.images("second")) + held(&test.images("first"));
    let last = CheckpointOptions {
        auto_dedup: true,
        parent_images: Some("../second".into()),
        work: Some(test.path("work")),
        ..into(&test.images("last"))
    };
    checkpoint(&container, &last);
    let sizes = ["first", "second", "last"].map(|name| pages(&test.images(name)));
    let log = std::fs::read_to_string(test.path("work/dump.log")).unwrap_or_default();
    assert!(sizes[0] > 4_000_000 && sizes[2] < sizes[0] / 4, "{sizes:?}\n{log}");
    // Only the last images have the pages that changed since.
    let now = held(&test.images("second")) + held(&test.images("first"));
    assert!(now < before, "{before} {now}\n{log}");
    end(container);
    let restored = test.restored(&config, &test.images("last"));
    counts_on(&data);
    end(restored);
}

/// On some kernels CRIU hangs here. So the test has a deadline on the host, and runs completely only in the virtual
/// machine.
#[test]
fn lazy_pages_are_loaded_on_use() {
    let test = test_runtime();
    let data = test.data();
    let config = heavy(&data);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let port = free_port();
    let address = PageServer { address: "127.0.0.1".parse().unwrap(), port };
    let lazy =
        |images: &std::path::Path| CheckpointOptions { lazy_pages: true, page_server: Some(address), ..into(images) };
    if !feature(&test.runtime, "lazyPages") {
        let error = container.checkpoint(&lazy(&test.images("images"))).unwrap_err();
        assert_eq!(error.code, Code::Unsupported, "{error}");
        return end(container);
    }
    if std::env::var_os("BERTH_VM").is_none() {
        // Nobody requests the pages, so the checkpoint waits until its timeout, and the container keeps running.
        let options = CheckpointOptions { timeout: Some(Duration::from_secs(4)), ..lazy(&test.images("images")) };
        let error = container.checkpoint(&options).unwrap_err();
        assert_eq!(error.code, Code::Timeout, "{error}");
        assert!(!test.images("images").exists());
        counts_on(&data);
        return end(container);
    }
    let (images, work) = (test.make_dir("images"), test.make_dir("work"));
    let (mut ready, status) = std::io::pipe().unwrap();
    use std::os::fd::AsRawFd;
    let options = CheckpointOptions { status_fd: Some(status.as_raw_fd()), ..lazy(&images) };
    std::thread::scope(|scope| {
        let dump = scope.spawn(|| checkpoint(&container, &options));
        let mut byte = [1];
        ready.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [0], "pages can be requested");
        let mut daemon = Command::new(criu());
        daemon.args(["lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", &port.to_string()]);
        daemon.arg("--images-dir").arg(&images).arg("--work-dir").arg(&work);
        let mut daemon = daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the daemon listens", || work.join("lazy-pages.socket").exists());
        let options = RestoreOptions { lazy_pages: true, work: Some(work.clone()), ..from(&images) };
        let restored = test.restore(&config, &options).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
        counts_on(&data);
        dump.join().unwrap();
        assert!(daemon.wait().unwrap().success());
        counts_on(&data);
        end(restored);
    });
    end(container);
}

#[test]
fn options_that_contradict_each_other_are_refused_before_anything_is_touched() {
    let test = test_runtime();
    let container = test.run(&shell("sleep 1000"), &quiet()).unwrap();
    let address = Some(PageServer { address: "127.0.0.1".parse().unwrap(), port: 1 });
    let images = test.images("images");
    let wrong = [
        (CheckpointOptions { lazy_pages: true, ..into(&images) }, "need the address of a page server"),
        (
            CheckpointOptions { lazy_pages: true, page_server: address, leave_running: true, ..into(&images) },
            "cannot be left running",
        ),
        (CheckpointOptions { status_fd: Some(0), ..into(&images) }, "needs lazy pages"),
        (CheckpointOptions { auto_dedup: true, ..into(&images) }, "it needs parent images"),
        (
            CheckpointOptions { lazy_pages: true, page_server: address, status_fd: Some(9999), ..into(&images) },
            "status_fd is 9999, which is not an open descriptor",
        ),
    ];
    for (options, expected) in wrong {
        let error = container.checkpoint(&options).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument, "{error}");
        assert!(error.message.contains(expected), "{error}");
        assert!(!images.exists());
    }
    end(container);
}

#[test]
fn the_work_directory_is_the_callers_if_it_wants() {
    let test = test_runtime();
    let data = test.data();
    let config = counter(&data);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let work = test.path("deep/work");
    checkpoint(&container, &CheckpointOptions { work: Some(work.clone()), ..into(&test.images("images")) });
    assert!(work.join("dump.log").exists());
    assert_only_for(&work, 0);
    assert_only_for(&test.images("images"), 0);
    end(container);
    let options = RestoreOptions { work: Some(work.clone()), ..from(&test.images("images")) };
    let restored = test.restore(&config, &options).unwrap();
    assert!(work.join("restore.log").exists());
    let litter: Vec<_> = leftovers::files(&work).into_iter().filter(|file| file.is_dir()).collect();
    assert!(litter.is_empty(), "{litter:?}");
    end(restored);
}

/// A CRIU configuration file overrides options: here the name of the log.
#[test]
fn a_config_file_overrules() {
    let test = test_runtime();
    let data = test.data();
    let container = test.run(&counter(&data), &quiet()).unwrap();
    counts_on(&data);
    let file = test.path("criu.conf");
    std::fs::write(&file, "log-file other.log\n").unwrap();
    let work = test.path("work");
    let options = CheckpointOptions {
        leave_running: true,
        work: Some(work.clone()),
        config_file: Some(file),
        ..into(&test.images("images"))
    };
    checkpoint(&container, &options);
    assert!(work.join("other.log").exists(), "{:?}", leftovers::files(&work));
    end(container);
}

#[test]
fn an_external_unix_socket_needs_an_option() {
    let test = test_runtime();
    let data = test.data();
    checkpoint_workload(&data);
    let mut config = shell("");
    let name = unique("outside");
    // Abstract sockets of the host are visible only in its network namespace.
    without_namespace(&mut config, "network");
    config["process"]["args"] = json!(["/data/checkpoint_workload", name]);
    with_data(&mut config, &data);
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let outside = std::os::unix::net::UnixDatagram::bind_addr(&address).unwrap();
    outside.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let container = test.run(&config, &quiet()).unwrap();
    let result = || std::fs::read_to_string(data.join("result")).unwrap_or_default();
    eventually("it is connected", || result() == "ready\n");
    let error = container.checkpoint(&into(&test.images("refused"))).unwrap_err();
    assert!(error.message.contains("allow external unix sockets"), "{error}\n{}", log_tail(&error));
    let options = CheckpointOptions { external_unix_sockets: true, ..into(&test.images("images")) };
    checkpoint(&container, &options);
    end(container);
    let options = RestoreOptions { external_unix_sockets: true, ..from(&test.images("images")) };
    let restored = test.restore(&config, &options).unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    restored.signal(libc::SIGUSR2, berth::Recipients::Init).unwrap();
    let mut word = [0; 8];
    let length = outside.recv(&mut word).unwrap_or_else(|error| panic!("{error} {}", result()));
    assert_eq!(&word[..length], b"hello");
    end(restored);
}

#[test]
fn cgroups_below_the_containers_own_are_restored() {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    let inner =
        "mkdir /sys/fs/cgroup/freezer/inner 2>/dev/null && echo $$ > /sys/fs/cgroup/freezer/inner/cgroup.procs;";
    let script = config["process"]["args"][2].as_str().unwrap().to_owned();
    config["process"]["args"][2] = json!(format!("{inner} {script}"));
    let writable = mount_on(&mut config, "/sys/fs/cgroup");
    writable["options"] = json!(["nosuid", "noexec", "nodev"]);
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let place = |container: &Container| std::fs::read_to_string(proc_of(container, "cgroup")).unwrap();
    let nested = place(&container).contains("/inner");
    // Such images could not be restored, so the checkpoint is refused while the container still runs.
    let ignore = CheckpointOptions { cgroup_mode: CgroupMode::Ignore, ..into(&test.images("refused")) };
    let error = container.checkpoint(&ignore).unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument, "{error}");
    assert!(!test.images("refused").exists());
    counts_on(&data);
    checkpoint(&container, &into(&test.images("images")));
    end(container);
    let files = Files::of(&data);
    for mode in [CgroupMode::Soft, CgroupMode::Full] {
        files.put_back();
        let options = RestoreOptions { cgroup_mode: mode, ..from(&test.images("images")) };
        let restored =
            test.restore(&config, &options).unwrap_or_else(|error| panic!("{mode:?}: {error}\n{}", log_tail(&error)));
        counts_on(&data);
        assert_eq!(place(&restored).contains("/inner"), nested, "{mode:?}: {}", place(&restored));
        end(restored);
    }
    let options = RestoreOptions { cgroup_mode: CgroupMode::Ignore, ..from(&test.images("images")) };
    let error = test.restore(&config, &options).unwrap_err();
    assert_eq!(error.code, Code::InvalidArgument, "{error}");
    for (controller, path, expected) in [
        ("none-of-these", "/", "there is no cgroup hierarchy"),
        ("", "/elsewhere", "is not below the container's own cgroup"),
    ] {
        let roots = vec![CgroupRoot { controller: controller.into(), path: path.into() }];
        let options = RestoreOptions { cgroup_roots: roots, ..from(&test.images("images")) };
        let error = test.restore(&config, &options).unwrap_err();
        // Without a v2 hierarchy the second one is unknown, too.
        let other = error.message.contains("there is no cgroup hierarchy");
        assert!(error.message.contains(expected) || other, "{error}");
        assert_eq!(test.runtime.ids().unwrap(), Vec::<String>::new());
    }
}

/// In hierarchies in which the container has no cgroup of its own, its processes are in a cgroup of somebody else,
/// which must not get into the images: a restore would create everything below it again. The test checks CRIU's log for
/// the cgroups that it dumps.
#[test]
fn cgroups_of_others_stay_out_of_the_images() {
    let test = test_runtime();
    let data = test.data();
    let container = test.run(&counter(&data), &quiet()).unwrap();
    counts_on(&data);
    let own = std::fs::read_to_string(proc_of(&container, "cgroup")).unwrap();
    let work = test.path("work");
    let options = CheckpointOptions { leave_running: true, work: Some(work.clone()), ..into(&test.images("images")) };
    checkpoint(&container, &options);
    let log = std::fs::read_to_string(work.join("dump.log")).unwrap();
    for line in own.lines() {
        let names = line.split(':').nth(1).unwrap();
        let ours = cgroup_of(&container, names.split(',').next().unwrap()).is_some();
        let skipped = log.contains(&format!("Skipping controller {names}\n"));
        assert_eq!(skipped, !ours, "{line}\n{log}");
    }
    end(container);
}

#[test]
fn hooks_run_when_the_namespaces_are_there() {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    test.dumped(&config, &data, &into(&test.images("images")));
    let log = test.path("log");
    let hook = |name: &str| {
        let script = format!("(echo {name}; cat; echo) >> {}", log.display());
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }])
    };
    config["hooks"] =
        json!({ "prestart": hook("prestart"), "createRuntime": hook("createRuntime"), "poststart": hook("poststart") });
    let restored = test.restored(&config, &test.images("images"));
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[2], lines.len()), ("prestart", "createRuntime", 4), "{text}");
    let state: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(state["pid"], restored.init_process().unwrap().pid());
    end(restored);
    config["hooks"] = json!({ "prestart": [{ "path": "/bin/false" }] });
    let error = test.restore(&config, &from(&test.images("images"))).unwrap_err();
    assert_eq!(error.code, Code::Hook, "{error}");
    assert_eq!(test.runtime.ids().unwrap(), Vec::<String>::new());
}
