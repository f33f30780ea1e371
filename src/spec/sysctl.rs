//! Checks kernel parameters: only those of a namespace that is not the caller's own may be set. `host` checks whether a
//! joined namespace is the caller's.

use super::namespaces::Namespaces;
use super::oci::{self, LinuxNamespaceType};
use super::shape;
use crate::error::{Error, Result};

/// Returns the file below /proc/sys of a name, parsed as sysctl(8) does: the first separator, dot or slash, is the
/// separator, and the other character then stands for it in a name (`net/ipv4/conf/eth0.1/mtu` and
/// `net.ipv4.conf.eth0/1.mtu` are equal). None if it does not name a file.
pub fn file(key: &str) -> Option<String> {
    let dotted = key.find(['.', '/']).is_some_and(|first| key[first..].starts_with('.'));
    let path: String = if dotted {
        key.chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect()
    } else {
        key.to_owned()
    };
    let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (plain && path.contains('/') && !path.chars().any(char::is_control)).then_some(path)
}

const IPC: [&str; 12] = [
    "auto_msgmni",
    "msg_next_id",
    "msgmax",
    "msgmnb",
    "msgmni",
    "sem",
    "sem_next_id",
    "shm_next_id",
    "shm_rmid_forced",
    "shmall",
    "shmmax",
    "shmmni",
];

fn owner(file: &str) -> Option<LinuxNamespaceType> {
    if file.starts_with("net/") {
        return Some(LinuxNamespaceType::Network);
    }
    if file.starts_with("fs/mqueue/") {
        return Some(LinuxNamespaceType::Ipc);
    }
    match file.strip_prefix("kernel/")? {
        "domainname" | "hostname" => Some(LinuxNamespaceType::Uts),
        name if IPC.contains(&name) => Some(LinuxNamespaceType::Ipc),
        _ => None,
    }
}

/// Returns the namespaces whose parameters are set, each with the first parameter's name.
pub fn owners(spec: &oci::Spec) -> Vec<(LinuxNamespaceType, &str)> {
    let parameters = spec.linux().as_ref().and_then(|linux| linux.sysctl().as_ref());
    let mut names: Vec<&str> = parameters.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let mut owners: Vec<(LinuxNamespaceType, &str)> = Vec::new();
    for name in names {
        if let Some(kind) = file(name).and_then(|file| owner(&file))
            && !owners.iter().any(|(known, _)| *known == kind)
        {
            owners.push((kind, name));
        }
    }
    owners
}

pub(super) fn check(spec: &oci::Spec, namespaces: &Namespaces, notices: &mut Vec<String>) -> Result<()> {
    let parameters = spec.linux().as_ref().and_then(|linux| linux.sysctl().as_ref());
    let mut seen = std::collections::HashMap::new();
    // Sorted, so that of several errors the same one is always reported.
    let sorted: std::collections::BTreeMap<_, _> = parameters.into_iter().flatten().collect();
    for (key, value) in sorted {
        let path = shape::join("linux.sysctl", key);
        let fault = |problem: String| Err(Error::config(&path, problem));
        let Some(file) = file(key) else {
            return fault(format!("{key:?} is not a kernel parameter; expected a name like \"net.core.somaxconn\""));
        };
        match owner(&file) {
            None => {
                return fault(format!(
                    "{key:?} belongs to the host; expected net.*, fs.mqueue.*, kernel.domainname or a System V IPC limit"
                ));
            }
            Some(_) if file == "kernel/hostname" => {
                return fault(format!("{key:?} has a field of its own; expected the name in hostname"));
            }
            Some(kind) if !namespaces.has(kind) => {
                let name = super::namespaces::name(kind);
                return fault(format!(
                    "{key:?} belongs to the {name} namespace, which is the caller's own; expected an entry of type \
                     {name:?} in linux.namespaces"
                ));
            }
            Some(_) if file == "kernel/domainname" => match spec.domainname().as_deref() {
                Some(name) if name == value => notices.push(format!("{path} repeats domainname")),
                Some(name) if !name.is_empty() => {
                    return fault(format!("{value:?} contradicts the field domainname, {name:?}; expected the same"));
                }
                _ => {}
            },
            Some(_) => {}
        }
        if seen.insert(file, value).is_some_and(|other| other != value) {
            return fault(format!("{key:?} is given twice, with dots and with slashes, and the values differ"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_sysctl_reads_them() {
        assert_eq!(file("net.ipv4.ip_forward").as_deref(), Some("net/ipv4/ip_forward"));
        assert_eq!(file("net/ipv4/conf/eth0.1/mtu").as_deref(), Some("net/ipv4/conf/eth0.1/mtu"));
        assert_eq!(file("net.ipv4.conf.eth0/1.mtu").as_deref(), Some("net/ipv4/conf/eth0.1/mtu"));
        for bad in ["", "net", "net.", ".net", "net..x", "net/../kernel/x", "net.//.x", "net/./x", "/net/x", "net.a\nb"]
        {
            assert_eq!(file(bad), None, "{bad:?}");
        }
    }
}
