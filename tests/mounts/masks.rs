//! Masked and read-only paths, a read-only root and `/dev`.

use std::fs;

use serde_json::json;

use crate::common::*;

#[test]
fn masked_paths_are_empty() {
    let test = TestRuntime::new();
    // Not every kernel has all of them.
    let script = "for f in /proc/kcore /proc/keys /proc/timer_list /etc/passwd; do cat $f 2>/dev/null | wc -c; done; \
                  for d in /proc/scsi /proc/acpi /sys/firmware /home; do ls -A $d 2>/dev/null | wc -l; done; \
                  touch /home/x 2>/dev/null; echo $?";
    let mut config = shell(script);
    let masked = config["linux"]["maskedPaths"].as_array_mut().unwrap();
    masked.extend([json!("/etc/passwd"), json!("/home"), json!("/not/there")]);
    let text = test.stdout_of(&config);
    assert_eq!(text.lines().collect::<Vec<_>>(), ["0", "0", "0", "0", "0", "0", "0", "0", "1"]);
}

#[test]
fn a_mask_of_a_file_is_the_real_null_device() {
    let test = TestRuntime::new();
    let mut config = shell("stat -c %F:%t:%T /etc/passwd; echo x >/etc/passwd; cat /etc/passwd");
    config["linux"]["maskedPaths"].as_array_mut().unwrap().push(json!("/etc/passwd"));
    let bundle = test.bundle("b", &config);
    // The image's own /dev/null must not be used.
    fs::write(bundle.join("rootfs/dev/null"), "a trap").unwrap();
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "character special file:1:3\n");
}

#[test]
fn read_only_paths_cannot_be_written() {
    let test = TestRuntime::new();
    let script = "for f in /proc/sys/kernel/domainname /proc/sys/kernel/msgmax /proc/irq/default_smp_affinity /opt/x; do \
                  (echo x >$f) 2>&1 | grep -o 'Read-only file system'; done; cat /proc/sys/kernel/ostype";
    let mut config = shell(script);
    set_capabilities(&mut config, &["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    writable(&mut config);
    config["linux"]["readonlyPaths"].as_array_mut().unwrap().extend([json!("/opt"), json!("/not/there")]);
    let text = test.stdout_of(&config);
    assert_eq!(text, "Read-only file system\n".repeat(4) + "Linux\n");
}

#[test]
fn a_read_only_root_is_read_only_and_a_writable_one_is_not() {
    let test = TestRuntime::new();
    let script = "touch /x 2>&1 | grep -o 'Read-only file system'; touch /dev/shm/y && echo shm";
    let mut config = shell(script);
    let bundle = test.bundle("b", &config);
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "Read-only file system\nshm\n");
    writable(&mut config);
    test.write_config(&bundle, &config);
    assert_eq!(in_bundle(&test, &bundle).unwrap(), "shm\n");
    assert!(bundle.join("rootfs/x").exists());
    fs::write(bundle.join("rootfs/host"), "the host's is writable as before").unwrap();
    // As with runc and crun: without the mounts below it.
    for path in ["/", "/opt/.."] {
        config["linux"]["readonlyPaths"] = json!(["/opt", path]);
        test.write_config(&bundle, &config);
        assert_eq!(in_bundle(&test, &bundle).unwrap(), "Read-only file system\nshm\n", "{path}");
    }
}

#[test]
fn a_read_only_dev_is_filled_first() {
    let test = TestRuntime::new();
    let mut config = shell(
        "touch /dev/x 2>&1 | grep -o 'Read-only file system'; echo x >/dev/null && ls /dev/zero; touch /dev/shm/y && echo shm",
    );
    mount_on(&mut config, "/dev")["options"].as_array_mut().unwrap().push(json!("ro"));
    assert_eq!(test.stdout_of(&config), "Read-only file system\n/dev/zero\nshm\n");
}
