//! Mounts across checkpoint and restore: the configuration decides on external mounts, and propagation is restored.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::common::*;
use crate::support::*;

fn mount(args: &[&str], target: &Path) {
    assert!(Command::new("mount").args(args).arg(target).status().unwrap().success(), "mount {args:?}");
}

/// A tmpfs with the given propagation (systemd makes all mounts shared); unmounted on drop.
struct Disk(PathBuf);

impl Disk {
    fn new(test: &TestRuntime, name: &str, propagation: &str) -> Disk {
        let disk = Disk(test.make_dir(name));
        mount(&["-t", "tmpfs", "tmpfs"], &disk.0);
        mount(&[propagation], &disk.0);
        disk
    }

    fn make_dir(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn with_source(config: &Value, source: &Path) -> Value {
    let mut config = config.clone();
    mount_on(&mut config, "/data")["source"] = json!(source);
    config
}

/// CRIU takes the peer groups from the images, but the sources of external mounts from the configuration. These may be
/// on one filesystem at the dump and on different ones at the restore, with or without propagation.
#[test]
fn bind_sources_may_be_on_other_filesystems_at_a_restore() {
    let test = test_runtime();
    let disk = Disk::new(&test, "disk", "--make-shared");
    let shared = disk.make_dir("data");
    let alone = Disk::new(&test, "private", "--make-private");
    let private = alone.make_dir("data");
    let config = counter(&shared);
    let root = disk.0.join("rootfs");
    assert!(Command::new("cp").arg("-a").arg(rootfs()).arg(&root).status().unwrap().success());
    let load = |config: &Value| berth::spec::Config::from_json(&config.to_string(), Some(&root)).unwrap();
    let propagation = |container: &berth::Container, at: &str| {
        let table = std::fs::read_to_string(proc_of(container, "mountinfo")).unwrap();
        mounted(&table, at).optional
    };
    let restore = |config: &berth::spec::Config, images: &Path| {
        berth::Container::restore(&test.runtime, &unique("r"), config, &from(images))
            .unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)))
    };
    let container = berth::Container::run(&test.runtime, &unique("c"), &load(&config), &quiet()).unwrap();
    counts_on(&shared);
    let master = propagation(&container, "/data");
    assert!(master.starts_with("master:"), "{master}");
    assert_eq!(propagation(&container, "/"), master, "one group");
    let images = test.images("one");
    checkpoint(&container, &into(&images));
    end(container);

    // The same /data, but the root on another filesystem.
    let container = test.restored(&config, &images);
    counts_on(&shared);
    assert_eq!(propagation(&container, "/data"), master);
    assert_ne!(propagation(&container, "/"), master);
    let images = test.images("two");
    checkpoint(&container, &into(&images));
    end(container);

    // The first root again, but /data on a filesystem without propagation.
    Files::of(&shared).copy_to(&private);
    let container = restore(&load(&with_source(&config, &private)), &images);
    counts_on(&private);
    assert_eq!(propagation(&container, "/data"), "");
    let images = test.images("three");
    checkpoint(&container, &into(&images));
    end(container);
    end(restore(&load(&with_source(&config, &private)), &images));
}

/// Returns the mount point and the propagation of each mount.
fn kinds(mountinfo: &str) -> Vec<String> {
    let kind = |line: &str| {
        let fields = line.split(' ').skip(4).take_while(|word| *word != "-").enumerate();
        let fields = fields.filter(|(place, _)| *place != 1).map(|(_, word)| word.split(':').next().unwrap_or(word));
        fields.collect::<Vec<_>>().join(" ")
    };
    let mut kinds: Vec<String> = mountinfo.lines().map(kind).collect();
    kinds.sort();
    kinds
}

/// Mounts that the container itself has made, also in a nested mount namespace.
#[test]
fn the_containers_own_mounts_are_restored_with_their_propagation() {
    let test = test_runtime();
    let data = test.data();
    let mut config = counter(&data);
    set_capabilities(&mut config, &["CAP_SYS_ADMIN", "CAP_KILL"]);
    writable(&mut config);
    let inner = "mount --make-rshared / && mount -t tmpfs own /mnt && mkdir /mnt/a /mnt/b && mount --bind /mnt/a /mnt/b && \
                 mount --make-private /mnt/b && mount -t tmpfs over /mnt/a && echo kept > /mnt/a/file && \
                 { unshare -m sh -c 'mount --make-rslave /; sleep 100000' & }";
    let script = config["process"]["args"][2].as_str().unwrap().to_owned();
    config["process"]["args"][2] = json!(format!("{inner}\n{script}"));
    let container = test.run(&config, &quiet()).unwrap();
    counts_on(&data);
    let tables = |container: &berth::Container| {
        let text = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok();
        let tables: BTreeSet<Vec<String>> =
            container.pids().unwrap().into_iter().filter_map(text).map(|text| kinds(&text)).collect();
        tables
    };
    eventually("both namespaces are there", || tables(&container).len() == 2);
    let before = tables(&container);
    checkpoint(&container, &into(&test.images("images")));
    end(container);
    let restored = test.restored(&config, &test.images("images"));
    counts_on(&data);
    assert_eq!(tables(&restored), before);
    assert_eq!(exec_shell(&restored, "cat /mnt/a/file"), "kept\n");
    end(restored);
}

/// Mount points below a bind mount are in its source, which images do not contain: restore creates them like create.
#[test]
fn mount_points_inside_other_mounts_are_made_again() {
    let test = test_runtime();
    let data = test.data();
    let (outer, inner) = (test.make_dir("outer"), test.make_dir("inner"));
    let file = test.path("file");
    std::fs::write(&file, "content").unwrap();
    let mut config = counter(&data);
    push_mount(&mut config, bind(&outer, "/mnt", &["bind"]));
    push_mount(&mut config, bind(&inner, "/mnt/for/nested", &["bind"]));
    push_mount(&mut config, bind(&file, "/mnt/file", &["bind"]));
    test.dumped(&config, &data, &into(&test.images("images")));
    std::fs::remove_dir_all(outer.join("for")).unwrap();
    std::fs::remove_file(outer.join("file")).unwrap();
    let restored = test.restored(&config, &test.images("images"));
    counts_on(&data);
    assert!(outer.join("for/nested").is_dir() && outer.join("file").is_file());
    assert_eq!(exec_shell(&restored, "cat /mnt/file; ls /mnt"), "contentfile\nfor\n");
    end(restored);
}

/// A path within a source may have become a symlink since the dump: nothing may be created at its target on the host.
#[test]
fn a_mount_point_is_not_made_where_a_symlink_leads_on_the_host() {
    let test = test_runtime();
    let data = test.data();
    let (outer, inner, trap) = (test.make_dir("outer"), test.make_dir("inner"), test.make_dir("trap"));
    let mut config = counter(&data);
    push_mount(&mut config, bind(&outer, "/mnt", &["bind"]));
    push_mount(&mut config, bind(&inner, "/mnt/for/nested", &["bind"]));
    test.dumped(&config, &data, &into(&test.images("images")));
    std::fs::remove_dir_all(outer.join("for")).unwrap();
    std::os::unix::fs::symlink(&trap, outer.join("for")).unwrap();
    if let Ok(restored) = test.restore(&config, &from(&test.images("images"))) {
        end(restored);
    }
    assert_eq!(std::fs::read_dir(&trap).unwrap().count(), 0);
}

#[test]
fn sources_are_found_however_they_are_written() {
    let test = test_runtime();
    for (index, source) in ["./data", "data/", "x/../data", "x/.././data/.", "."].into_iter().enumerate() {
        let bundle = test.make_dir(&format!("bundle-{index}"));
        let data = if source == "." { bundle.clone() } else { bundle.join("data") };
        std::fs::create_dir(bundle.join("x")).unwrap();
        std::fs::create_dir_all(&data).unwrap();
        let mut config = with_source(&counter(&data), Path::new(source));
        config["root"]["path"] = json!(rootfs());
        test.write_config(&bundle, &config);
        let config = berth::spec::Config::from_bundle(&bundle).unwrap();
        let container = berth::Container::run(&test.runtime, &unique("s"), &config, &quiet()).unwrap();
        counts_on(&data);
        let images = test.images(&format!("images-{index}"));
        checkpoint(&container, &into(&images));
        end(container);
        let restored = berth::Container::restore(&test.runtime, &unique("s"), &config, &from(&images))
            .unwrap_or_else(|error| panic!("{source}: {error}\n{}", log_tail(&error)));
        counts_on(&data);
        end(restored);
    }
}

/// The image has a link to a file that create made for the first container, and a mount whose source is part of an
/// earlier mount.
#[test]
fn mounts_on_dangling_symlinks_and_of_earlier_mounts_are_restored() {
    let test = test_runtime();
    let data = test.data();
    let file = test.make_dir("files").join("file");
    std::fs::write(&file, "file").unwrap();
    std::fs::create_dir(data.join("part")).unwrap();
    std::fs::write(data.join("part/in"), "part").unwrap();
    let images = test.images("images");
    let root = |name: &str| {
        let root = test.make_dir(name).join("rootfs");
        assert!(Command::new("cp").arg("-a").arg(rootfs()).arg(&root).status().unwrap().success());
        std::fs::create_dir_all(root.join("srv")).unwrap();
        std::os::unix::fs::symlink("../run/made/file", root.join("srv/link")).unwrap();
        let mut config = counter(&data);
        writable(&mut config);
        push_mount(&mut config, bind(&file, "/srv/link", &["bind", "ro"]));
        push_mount(&mut config, bind(&root.join("data/part"), "/srv/part", &["bind"]));
        berth::spec::Config::from_json(&config.to_string(), Some(&root)).unwrap()
    };
    let look = |container: &berth::Container| exec_shell(container, "cat /srv/link /run/made/file /srv/part/in");
    let container = berth::Container::run(&test.runtime, &unique("c"), &root("first"), &quiet()).unwrap();
    counts_on(&data);
    assert_eq!(look(&container), "filefilepart");
    checkpoint(&container, &into(&images));
    end(container);
    let restored = berth::Container::restore(&test.runtime, &unique("r"), &root("second"), &from(&images))
        .unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error)));
    counts_on(&data);
    assert_eq!(look(&restored), "filefilepart");
    end(restored);
}
