//! Open files without a name in images that somebody has edited. CRIU gives them a name for a moment, on a bind mount in
//! a directory of the host.

use std::path::Path;

use crate::edit_images;
use crate::hostile::{Good, image};
use crate::support::*;

/// CRIU's number of the type of regular files in file_entry.
const REGULAR: u64 = 1;

fn names(data: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = std::fs::read_dir(data).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn devices_and_set_id_files_are_refused_before_criu_makes_them() {
    let good = Good::with_threads();
    let before = names(&good.data);
    let cases = [
        ("block", 0o060_666, "the device 254:0"),
        ("character", 0o020_666, "the device 254:0"),
        ("setuid", 0o104_755, "set-id bits"),
        ("setgid", 0o102_755, "set-id bits"),
    ];
    for (what, mode, says) in cases {
        let images = good.copy(what);
        let ghost = image(&images, "ghost-file");
        let bytes = std::fs::read(&ghost).unwrap();
        // Its content follows the entry.
        let (head, rest) = bytes.split_at(12);
        let (entry, content) = rest.split_at(u32::from_le_bytes(head[8..].try_into().unwrap()) as usize);
        let entry = edit_images::Message::parse(entry).set_number(3, mode).set_number(6, 254 << 8).bytes();
        let length = u32::try_from(entry.len()).unwrap().to_le_bytes();
        std::fs::write(&ghost, [&head[..8], &length, &entry, content].concat()).unwrap();
        let error = good.refused(&images, what);
        assert!(error.message.contains("ghost-file-") && error.message.contains(says), "{what}: {error}");
        assert_eq!(names(&good.data), before, "{what}");
    }
}

/// A restore that fails when CRIU has created the file: nothing stays, and the next restore works.
#[test]
fn a_failed_restore_leaves_no_file_in_a_volume() {
    let good = Good::with_threads();
    let before = names(&good.data);
    let images = good.copy("late");
    // The uids of init: noticed when everything else is restored.
    edit_images::edit(&image(&images, "core-1"), |messages| {
        messages[0].edit(5, |thread| {
            thread.edit(10, |credentials| {
                [1, 3, 5, 7].into_iter().for_each(|id| {
                    credentials.set_number(id, 1000);
                });
            });
        });
    });
    good.refused(&images, "late");
    assert_eq!(names(&good.data), before);
    // The mode of the file, which CRIU compares when the file has its name again.
    let images = good.copy("early");
    edit_images::edit(&image(&images, "files"), |files| {
        for file in files.iter_mut().filter(|file| file.number(1) == REGULAR) {
            file.edit(3, |regular| {
                if regular.text(6) == "/data/deleted" {
                    regular.set_number(10, 0o040_000);
                }
            });
        }
    });
    good.refused(&images, "early");
    assert_eq!(names(&good.data), before);
    end(good.test.restored(&good.config, &good.images));
    assert_eq!(names(&good.data), before);
}
