//! Finds remedies for known errors of CRIU. CRIU's messages name its own options, which differ from this library's.

/// Parts of CRIU's error messages, each with a remedy.
const KNOWN: [(&str, &str); 15] = [
    ("consider using --tcp-established", "allow established TCP connections"),
    ("Connected TCP socket", "allow established TCP connections"),
    ("In-flight connection", "skip TCP connections in flight, or let the container accept them"),
    ("--ext-unix-sk", "allow external unix sockets, or let the container close them"),
    ("external socket is used", "allow external unix sockets, or let the container close them"),
    ("--file-locks", "allow file locks"),
    ("link-remap", "allow link remaps: an open file has been unlinked or renamed"),
    ("--ghost-limit", "let the container close the large file that it has unlinked"),
    ("--shell-job", "set the shell job option: the container uses a terminal or belongs to a session of the caller"),
    ("No space left on device", "free space in the image directory"),
    ("Unexpected process", "end the processes that exec has started in the container"),
    ("external slavery", "do not let its mounts receive propagation from the host"),
    ("Can't get 1:16 opt", "use CRIU 4.2 or newer: older ones cannot dump internet sockets on Linux 6.16 and newer"),
    (
        "Abort restore of existing cgroups",
        "use another cgroup mode: the container's own cgroups exist before its processes are restored",
    ),
    ("No mapping for", "the configuration lacks a mount that is in the images"),
];

/// Returns the remedy for the first known error, to be added to a message.
pub fn of(errors: &[&str]) -> Option<String> {
    errors.iter().find_map(|error| foreign_file(error)).or_else(|| {
        let known = KNOWN.iter().find(|(part, _)| errors.iter().any(|error| error.contains(part)));
        known.map(|(_, remedy)| (*remedy).to_owned())
    })
}

/// Recognises "Can't lookup mount=29 for fd=1 path=/tmp/log": an open file of the host, which no restore could open
/// again.
fn foreign_file(error: &str) -> Option<String> {
    let (_, rest) = error.split_once("Can't lookup mount=")?;
    let (_, rest) = rest.split_once(" for fd=")?;
    let (fd, path) = rest.split_once(" path=")?;
    Some(format!(
        "descriptor {fd} refers to {path}, which is on no mount of the container: give the container a pipe or \
         /dev/null instead, or let it close the descriptor"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_file_is_named_with_its_descriptor() {
        let advice = of(&["Dumping FAILED.", "Can't lookup mount=29 for fd=1 path=/tmp/a log"]).unwrap();
        assert!(advice.starts_with("descriptor 1 refers to /tmp/a log, which is on no mount"), "{advice}");
    }

    #[test]
    fn the_remedy_names_the_option() {
        assert!(of(&["inet: Connected TCP socket, consider using --tcp-established option."]).unwrap().contains("TCP"));
        assert_eq!(of(&["something else"]), None);
    }
}
