//! Hostile image directories: an error, at once or at the deadline, and nothing is left.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use berth::criu::RestoreOptions;
use berth::{Code, Container};
use serde_json::{Value, json};

use crate::common::*;
use crate::support::*;

/// A checkpoint of a counter; each test damages a copy of it.
pub struct Good {
    pub test: TestRuntime,
    pub data: PathBuf,
    pub config: Value,
    pub images: PathBuf,
}

impl Good {
    /// Of a program with several threads, and with an open file in /data that is unlinked.
    pub fn with_threads() -> Good {
        let test = test_runtime();
        let data = test.data();
        checkpoint_workload(&data);
        let mut config = counter(&data);
        config["process"]["args"] = json!(["/data/checkpoint_workload", "threads"]);
        let container = test.run(&config, &quiet()).unwrap();
        eventually("the threads are there, and the file is unlinked", || data.join("result").exists());
        let images = test.images("images");
        checkpoint(&container, &into(&images));
        end(container);
        Good { test, data, config, images }
    }

    pub fn new() -> Good {
        let test = test_runtime();
        let data = test.data();
        let config = counter(&data);
        let images = test.images("images");
        test.dumped(&config, &data, &into(&images));
        Good { test, data, config, images }
    }

    pub fn copy(&self, name: &str) -> PathBuf {
        let copy = self.test.make_dir(name);
        for file in leftovers::files(&self.images) {
            std::fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
        }
        copy
    }

    /// Returns the error of a restore, which must leave nothing.
    pub fn refused(&self, images: &Path, what: &str) -> berth::Error {
        let options = RestoreOptions { timeout: Some(Duration::from_secs(60)), ..from(images) };
        let stood_at = count(&self.data);
        let error = self.test.restore(&self.config, &options).map(end).expect_err(what);
        assert_eq!(self.test.runtime.ids().unwrap(), Vec::<String>::new(), "{what}");
        assert_eq!(leftovers::files(&self.test.path("state")), Vec::<PathBuf>::new(), "{what}");
        assert_eq!(count(&self.data), stood_at, "{what}: it has run");
        error
    }
}

pub fn image(images: &Path, name: &str) -> PathBuf {
    let mut files = leftovers::files(images).into_iter();
    files.find(|file| file.file_name().unwrap().to_string_lossy().starts_with(name)).unwrap()
}

#[test]
fn images_that_are_cut_off_or_missing_are_errors() {
    let good = Good::new();
    for name in ["inventory", "pstree", "core-1", "mm-1", "pagemap-1", "mountpoints", "fs-1", "ids-1"] {
        let images = good.copy(&format!("cut-{name}"));
        let file = image(&images, name);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        let error = good.refused(&images, &format!("{name}, cut off"));
        assert_eq!(error.code, Code::Criu, "{name}: {error}");
        std::fs::remove_file(&file).unwrap();
        let error = good.refused(&images, &format!("{name}, missing"));
        assert_eq!(error.code, Code::Criu, "{name}: {error}");
    }
    // The original images still work.
    let restored = good.test.restored(&good.config, &good.images);
    counts_on(&good.data);
    end(restored);
}

/// CRIU waits forever in two cases: a fifo without a writer, which is refused at once, and pages that end too early.
#[test]
fn reading_an_endless_image_stops_at_the_deadline() {
    let good = Good::new();
    let (pipe, short) = (good.copy("pipe"), good.copy("short"));
    std::fs::remove_file(image(&pipe, "pstree")).unwrap();
    nix::unistd::mkfifo(&pipe.join("pstree.img"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let error = good.refused(&pipe, "a pipe");
    assert_eq!((error.code, error.message.as_str()), (Code::Criu, "pstree.img is no regular file"));
    let pages = image(&short, "pages-1");
    let bytes = std::fs::read(&pages).unwrap();
    std::fs::write(&pages, &bytes[..bytes.len() / 2]).unwrap();
    let options = RestoreOptions { timeout: Some(Duration::from_secs(5)), ..from(&short) };
    let error = good.test.restore(&good.config, &options).map(end).unwrap_err();
    assert_eq!(error.code, Code::Timeout, "{error}");
    assert_eq!(leftovers::files(&good.test.path("state")), Vec::<PathBuf>::new());
}

/// The library reads only regular files of the image directory.
#[test]
fn descriptors_that_are_a_link_or_no_file_are_not_read() {
    let good = Good::new();
    let images = good.copy("link");
    let descriptors = images.join("descriptors.json");
    let secret = good.test.path("secret");
    std::fs::write(&secret, "top secret").unwrap();
    type Make<'a> = Box<dyn Fn() + 'a>;
    let kinds: [(&str, Make); 3] = [
        ("a link", Box::new(|| symlink(&secret, &descriptors).unwrap())),
        ("a pipe", Box::new(|| nix::unistd::mkfifo(&descriptors, nix::sys::stat::Mode::S_IRUSR).unwrap())),
        ("a directory", Box::new(|| std::fs::create_dir(&descriptors).unwrap())),
    ];
    for (what, make) in kinds {
        let _ = std::fs::remove_file(&descriptors);
        make();
        let error = good.refused(&images, what);
        assert!(
            error.message.contains("descriptors.json") && !format!("{error:?}").contains("secret"),
            "{what}: {error:?}"
        );
    }
}

/// An image that is a symlink to another file: the error must not show the file's contents.
#[test]
fn a_link_to_a_file_of_the_hosts_is_an_error_without_its_content() {
    let good = Good::new();
    let secret = good.test.path("hidden");
    std::fs::write(&secret, "nobody may know this").unwrap();
    for name in ["pstree", "mountpoints", "core-1"] {
        let images = good.copy(&format!("link-{name}"));
        let file = image(&images, name);
        std::fs::remove_file(&file).unwrap();
        symlink(&secret, &file).unwrap();
        let error = good.refused(&images, name);
        assert_eq!(error.code, Code::Criu, "{name}: {error}");
        assert!(!format!("{error:?}").contains("nobody may know"), "{name}: {error:?}");
    }
}

/// Images of another container: other mounts, another program.
#[test]
fn images_of_another_container_are_refused() {
    let good = Good::new();
    let foreign = good.test.make_dir("foreign");
    let mut config = counter(&foreign);
    let elsewhere = mount_on(&mut config, "/data");
    elsewhere["destination"] = "/elsewhere".into();
    config["process"]["args"][2] = "while :; do sleep 1; done".into();
    let container = good.test.run(&config, &quiet()).unwrap();
    let images = good.test.images("of-another");
    checkpoint(&container, &into(&images));
    end(container);
    let error = good.refused(&images, "of another container");
    assert!(error.message.contains("the configuration lacks a mount that is in the images"), "{error}");
    let back = Container::restore(&good.test.runtime, &unique("r"), &good.test.config(&config), &from(&images));
    end(back.unwrap_or_else(|error| panic!("{error}\n{}", log_tail(&error))));
}
