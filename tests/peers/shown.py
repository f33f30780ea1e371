"""The differences that the cases show, by their ids in docs/differences.md."""

from cases import ALL, expect


def named(*parts):
    """The names of all cases that contain one of the parts."""
    return [each.name for each in ALL if any(part in each.name for part in parts)]


EXPECTED = {
    "oci-version-required": ["ociVersion: absent", "ociVersion: empty", "ociVersion: words"],
    "oci-version-major": ["ociVersion: 0.9.0", "ociVersion: 2.0.0"],
    "member-twice": ["text: a name twice"],
    "json-text": ["text: more after the end", "text: bytes that are not UTF-8"],
    "required-members": [
        "platform: rlimit without hard",
        "platform: mapping without size",
        "linux.devices: without numbers",
        *named("resources: devices: without allow"),
    ],
    "annotation-empty-name": ["annotations: empty key"],
    "absolute-paths": [
        "linux.devices: relative",
        "linux.maskedPaths: relative",
        "linux.readonlyPaths: relative",
        "linux.readonlyPaths: empty word",
        "hooks.poststop: relative",
    ],
    "other-platforms": [
        "platform: windows",
        "platform: solaris",
        "platform: vm",
        "process.user.username: usual",
        "process.commandLine: ignored",
    ],
    "mappings-without-userns": ["linux.uidMappings: without a user namespace"],
    "userns-without-mappings": ["user namespace: without mappings", "user namespace: empty mappings"],
    "mount-namespace-absent": ["linux.namespaces: without mount"],
    "mount-namespace-joined": ["linux.namespaces: joined mount", "linux.namespaces: joined mount with mounts"],
    "bind-source-in-image": ["mount: a source beneath the root, by a link of the image"],
    "links-at-dev": ["a link of the image at /dev"],
    "bind-flags": named("bind of a filesystem with nosuid,nodev: suid", "with nosuid,nodev: nosuid", "with nosuid,nodev: rw"),
    "device-contradicting": ["linux.devices: twice, different"],
    "env-entries": ["process.env: without equals", "process.env: without a name", "process.env: empty word"],
    "domainname-twice": ["domainname: twice, different"],
    "sysctl-twice": ["linux.sysctl: two spellings"],
    "cgroup-kept": named("cgroupsPath: made before"),
    "cgroup-shared": named("cgroupsPath: that of another container, stopped"),
    "cgroup-mount-own": ["linux.namespaces: without cgroup"],
    "cgroup-v1-top": ["usual in v1", "usual on a hybrid host"],
    "cgroup-unified": ["usual on a hybrid host"],
    "unified-own-files": ["resources: unified, cgroup.procs in v2"],
    "home-empty": ["process.env: home empty"],
    "seccomp-names": ["linux.seccomp: empty names"],
    "device-access": ["resources: devices: unknown access in v2"],
    "device-mode-userns": [f"linux.devices: {name} in a user namespace" for name in ("mode and owner", "null", "another path")],
    "bind-atime": ["mount: bind of a filesystem with relatime: noatime,atime"],
    "cgroups-path-dots": named("cgroupsPath: dots beyond the root"),
    "capability-spelling": ["process.capabilities: lower case"],
    "sysfs-without-netns": ["rootless: sysfs over a directory"],
    "symlink-options": ["mount: a link with copy-symlink"],
    "mqueue-owner": [
        "usual in a user namespace",
        "mount: mqueue over a directory in a user namespace",
        "user namespace: two ranges",
        "user namespace: of one id",
    ],
    "start-hook-fails": ["command: start with a failing hook, created"],
    "hook-env-empty": ["hooks.startContainer: empty environment"],
    "hook-directory": ["hooks.createContainer: directory"],
    "poststop-directory": ["command: delete with a poststop hook, stopped"],
    "poststart-time": ["command: create, start with a poststart hook, absent"],
    "poststart-fails": ["command: create, start with a failing poststart hook, absent"],
    "poststop-fails": ["command: delete with a failing poststop hook, stopped"],
    "path-unset": ["process.args: searched without PATH"],
    "capability-not-permitted": ["process.capabilities: effective without permitted"],
    "mounts-absent": ["mounts: absent", "mounts: null"],
    "proc-on-link": ["mount: proc over a dangling link", "mount: sysfs over a dangling link"],
    "mount-point-unreadable": [
        "mount: proc over a directory in a user namespace",
        "mount: sysfs over a directory in a user namespace",
    ],
    "bind-remount": ["mount: bind with bind,remount"],
    "bind-type-alone": ["mount: bind with neither bind nor rbind"],
    "cgroup-mount-foreign": ["linux.namespaces: joined cgroup in a user namespace in v1"],
    "root-runbindable": ["linux.rootfsPropagation: runbindable"],
    "device-by-numbers": named("rootless: linux.devices: [{'path': '/dev/a'"),
    "source-nofollow": ["mount: a link with src-nofollow"],
    "number-types": ["text: a number as a string", "text: a boolean as a string"],
    "mount-on-proc": ["mount: a file on /proc/version"],
}
expect(EXPECTED)
