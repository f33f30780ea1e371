//! Sets the AppArmor or SELinux label of the program that init will execute, through the host's procfs.
//!
//! Other runtimes lost labels to a fake /proc (CVE-2019-16884 and others). So the file is opened from the host's own
//! procfs, mounts over it are ignored, and the label is read back before anything is executed.

use super::sys::*;

/// The size of the buffer, larger than any label.
pub const BUFFER_SIZE: usize = 4352;

/// Sets the label and reads it back. Returns `None`, or the length of a different label that was read into `found`.
pub fn set(proc: i32, apparmor: bool, label: Str, found: &mut [u8; BUFFER_SIZE]) -> Result<Option<usize>> {
    let (own, common) = (Str::literal(c"thread-self/attr/apparmor/exec"), Str::literal(c"thread-self/attr/exec"));
    let path = match open(proc, own, O_RDONLY).map(close) {
        Ok(()) if apparmor => own,
        _ => common,
    };
    let file = open(proc, path, O_WRONLY)?;
    let written = if apparmor { write_command(file, label, found) } else { write(file, label.bytes()) };
    close(file);
    written?;

    let file = open(proc, path, O_RDONLY)?;
    let len = read(file, found);
    close(file);
    let len = len?;
    Ok(if is_label(&found[..len], label.bytes()) { None } else { Some(len) })
}

/// Writes "exec LABEL" in one call, as AppArmor requires.
fn write_command(file: i32, label: Str, buffer: &mut [u8; BUFFER_SIZE]) -> Result<usize> {
    const COMMAND: &[u8] = b"exec ";
    let len = COMMAND.len() + label.bytes().len();
    let text = buffer.get_mut(..len).ok_or(ENAMETOOLONG)?;
    text[..COMMAND.len()].copy_from_slice(COMMAND);
    text[COMMAND.len()..].copy_from_slice(label.bytes());
    write(file, text)
}

fn open(proc: i32, path: Str, flags: u64) -> Result<i32> {
    let inside = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    let file = openat2(proc, path, flags, 0, inside)?;
    match filesystem(file) {
        Ok(found) if found.kind == PROC_SUPER_MAGIC => Ok(file),
        _ => {
            close(file);
            Err(EPROTO)
        }
    }
}

/// Whether `found` is the label; AppArmor appends the profile's mode: "name (enforce)".
fn is_label(found: &[u8], label: &[u8]) -> bool {
    let end = found.iter().rposition(|byte| !matches!(byte, b'\n' | 0)).map_or(0, |last| last + 1);
    match found[..end].strip_prefix(label) {
        Some(rest) => rest.is_empty() || (rest.starts_with(b" (") && rest.ends_with(b")")),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_that_label_and_no_longer_one() {
        assert!(is_label(b"web (enforce)\n", b"web"));
        assert!(is_label(b"unconfined\n", b"unconfined"));
        assert!(is_label(b"u:r:t:s0\0", b"u:r:t:s0"));
        assert!(!is_label(b"web2 (enforce)\n", b"web"));
        assert!(!is_label(b"web//child (enforce)\n", b"web"));
        assert!(!is_label(b"", b"web"));
        assert!(!is_label(b"unconfined\n", b"web"));
    }
}
