//! Checks device nodes, and the paths to be masked or made read-only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::oci::{self, LinuxDevice, LinuxDeviceType};
use super::paths;
use crate::error::{Error, Result};

/// The bounds of the kernel's device numbers: 12 bits and 20 bits.
pub(super) const MAX_MAJOR: i64 = 4095;
pub(super) const MAX_MINOR: i64 = 1_048_575;

/// Checks devices and paths, and normalizes paths to their shortest spelling and modes to permission bits.
pub(super) fn normalize(linux: &mut oci::Linux, notices: &mut Vec<String>) -> Result<()> {
    let mut kept: Vec<LinuxDevice> = Vec::new();
    let mut places: HashMap<PathBuf, usize> = HashMap::new();
    for (index, device) in linux.devices_mut().iter_mut().flatten().enumerate() {
        let at = |name: &str| format!("linux.devices[{index}].{name}");
        device.set_path(place(device.path(), &at("path"))?);
        check_mode(device, &at("fileMode"))?;
        device.set_file_mode(device.file_mode().map(|mode| mode & 0o7777));
        // `docker run --device` of a directory and of a device in that directory lists the device twice.
        match places.get(device.path()).map(|place| &kept[*place]) {
            None => {
                places.insert(device.path().clone(), kept.len());
                kept.push(device.clone());
            }
            Some(other) if other == device => notices.push(format!("{} is listed twice", at("path"))),
            Some(_) => {
                let plain = device.path();
                let problem =
                    format!("{plain:?} is the path of another device, too; expected each path for one device");
                return Err(Error::config(&at("path"), problem));
            }
        }
    }
    linux.set_devices(linux.devices().as_ref().map(|_| kept));
    let masked = plain_paths(linux.masked_paths(), |path, index| {
        paths::inside(path, format_args!("linux.maskedPaths[{index}]"))
    });
    linux.set_masked_paths(masked?);
    let readonly = plain_paths(linux.readonly_paths(), |path, index| {
        paths::root_or_inside(path, format_args!("linux.readonlyPaths[{index}]"))
    });
    linux.set_readonly_paths(readonly?);
    Ok(())
}

fn place(path: &Path, at: &str) -> Result<PathBuf> {
    let plain = paths::inside(path, at)?;
    if plain == Path::new("/dev") {
        return Err(Error::config(at, "\"/dev\" is the device directory; expected a path below it"));
    }
    for elsewhere in ["/proc", "/sys"] {
        if plain.starts_with(elsewhere) {
            return Err(Error::config(
                at,
                format!(
                    "{plain:?} is below {elsewhere}, where device nodes cannot be created; expected a path in /dev"
                ),
            ));
        }
    }
    Ok(plain)
}

/// Checks that device numbers are given, except for a FIFO: any default would be some existing device.
pub(super) fn check_numbers(json: &serde_json::Value) -> Result<()> {
    let devices = json.pointer("/linux/devices").and_then(|devices| devices.as_array());
    for (index, device) in devices.into_iter().flatten().enumerate() {
        if device.get("type").is_some_and(|kind| kind == "p") {
            continue;
        }
        for (name, max) in [("major", MAX_MAJOR), ("minor", MAX_MINOR)] {
            let value = device.get(name);
            let number = value.and_then(|value| value.as_i64());
            if number.is_none_or(|number| !(0..=max).contains(&number)) {
                let value = value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
                return Err(Error::config(
                    &format!("linux.devices[{index}].{name}"),
                    format!("{value} is not a device number; expected from 0 to {max}"),
                ));
            }
        }
    }
    Ok(())
}

/// Checks that a mode has permission bits only, or beside them the bits of the device's type, which some programs
/// include.
fn check_mode(device: &oci::LinuxDevice, path: &str) -> Result<()> {
    let Some(mode) = device.file_mode() else { return Ok(()) };
    let kind = match device.typ() {
        LinuxDeviceType::B => libc::S_IFBLK,
        LinuxDeviceType::P => libc::S_IFIFO,
        _ => libc::S_IFCHR,
    };
    let format = mode & libc::S_IFMT;
    if mode & !(libc::S_IFMT | 0o7777) != 0 || (format != 0 && format != kind) {
        return Err(Error::config(
            path,
            format!("{mode} (octal {mode:o}) is not a mode of this type; expected permission bits, up to 4095"),
        ));
    }
    Ok(())
}

fn plain_paths(
    list: &Option<Vec<String>>,
    check: impl Fn(&Path, usize) -> Result<PathBuf>,
) -> Result<Option<Vec<String>>> {
    let Some(list) = list else { return Ok(None) };
    let plain = list.iter().enumerate().map(|(index, path)| {
        // The path came from a string, so the conversion loses nothing.
        check(Path::new(path), index).map(|plain| plain.to_string_lossy().into_owned())
    });
    plain.collect::<Result<_>>().map(Some)
}
