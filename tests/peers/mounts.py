"""Each kind of mount over each kind of target, and the members of a mount."""

import os

from cases import case
from config import mount, watch

# What the image has at the target, made in the upper layer of the root filesystem.
TARGETS = {
    "a directory": lambda root: os.mkdir(root / "at", 0o750),
    "nothing": lambda root: None,
    "nothing, deep": lambda root: None,
    "a file": lambda root: (root / "at").write_text("of the image"),
    "a link to a directory": lambda root: (os.mkdir(root / "real"), os.symlink("/real", root / "at")),
    "a relative link": lambda root: (os.mkdir(root / "real"), os.symlink("real", root / "at")),
    "a dangling link": lambda root: os.symlink("/run/made/here", root / "at"),
    "a link out of the image": lambda root: (os.mkdir(root / "real"), os.symlink("../../../../real", root / "at")),
    "a link that leads to itself": lambda root: os.symlink("at", root / "at"),
    "below a file": lambda root: (root / "at").write_text("of the image"),
    "below a link": lambda root: (os.makedirs(root / "real/in"), os.symlink("real", root / "at")),
}
PATHS = {"nothing, deep": "/at/deep/er", "below a file": "/at/in", "below a link": "/at/in"}


def a_directory(place):
    place.file("outside/directory/file", "of the host")
    return place.directory("outside/directory")


def a_file(place):
    return place.file("outside/file", "of the host")


def a_link(place):
    a_directory(place)
    return place.link("outside/link", "directory")


KINDS = {
    "bind of a directory": lambda place, at: mount(at, "bind", a_directory(place), ["bind"]),
    "bind of a file": lambda place, at: mount(at, "bind", a_file(place), ["bind", "ro"]),
    "bind of a link": lambda place, at: mount(at, "bind", a_link(place), ["rbind"]),
    "bind of nothing": lambda place, at: mount(at, "bind", str(place.folder / "outside/nothing"), ["bind"]),
    "tmpfs": lambda place, at: mount(at, "tmpfs", "tmpfs", ["nosuid", "size=1024k"]),
    "tmpfs without a mode": lambda place, at: mount(at, "tmpfs", "tmpfs"),
    "proc": lambda place, at: mount(at, "proc", "proc"),
    "devpts": lambda place, at: mount(at, "devpts", "devpts", ["newinstance"]),
    "mqueue": lambda place, at: mount(at, "mqueue", "mqueue"),
    "sysfs": lambda place, at: mount(at, "sysfs", "sysfs", ["ro"]),
    "overlay": lambda place, at: mount(
        at, "overlay", "overlay", [f"lowerdir={a_directory(place)}:{place.directory('outside/second')}"]
    ),
}


def over(kind, target, who="root"):
    at = PATHS.get(target, "/at")

    def prepare(place):
        TARGETS[target](place.upper)

    def change(config, place):
        config["mounts"].append(KINDS[kind](place, at))
        watch(config, at)

    more = {"userns": " in a user namespace"}.get(who, "")
    case(f"mount: {kind} over {target}{more}", change, prepare=prepare, who=who)


for kind in ("bind of a directory", "bind of a file", "tmpfs"):
    for target in TARGETS:
        over(kind, target)
for kind in KINDS:
    for target in ("a directory", "nothing", "a file", "a dangling link"):
        if kind not in ("bind of a directory", "bind of a file", "tmpfs"):
            over(kind, target)
for kind in KINDS:
    for target in ("a directory", "nothing"):
        over(kind, target, "userns")


def entry(name, make, who="root", at="/mnt", **more):
    def change(config, place):
        made = make(place)
        config["mounts"] += made if isinstance(made, list) else [made]
        watch(config, at)

    case(f"mount: {name}", change, who=who, **more)


def options(name, *words, kind="bind", who="root", **more):
    def make(place):
        source = a_directory(place) if kind == "bind" else kind
        return mount("/mnt", kind, source, list(words))

    entry(f"{kind} with {name or ', '.join(words)}", make, who, **more)


for word in (
    "ro",
    "rw",
    "nosuid",
    "nodev",
    "noexec",
    "noatime",
    "nodiratime",
    "relatime",
    "strictatime",
    "nosymfollow",
    "sync",
    "dirsync",
    "silent",
    "lazytime",
    "mand",
    "iversion",
    "acl",
    "defaults",
    "remount",
    "unknown-option",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "unbindable",
    "runbindable",
    "tmpcopyup",
    "",
):
    options(word and f"bind,{word}" or "an empty option", "bind", word)


def remounted(*words, who="root"):
    """A bind mount that a second entry changes."""

    def make(place):
        source = a_directory(place)
        return [mount("/mnt", "bind", source, ["bind"]), mount("/mnt", "bind", source, ["bind", "remount", *words])]

    entry(f"a bind mount, then bind,remount,{','.join(words)}" + (" in a user namespace" if who != "root" else ""), make, who)


options("bind,mode=755,size=1k", "bind", "mode=755", "size=1k")
for word in ("ro", "nosuid", "sync", "dirsync", "mand", "lazytime", "silent", "iversion", "size=1m"):
    remounted(word)
remounted("ro", "sync")
remounted("sync", who="userns")
for word in ("rro", "rrw", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rrelatime", "rnosymfollow"):
    options(f"rbind,{word}", "rbind", word)
for word in (
    "ro",
    "nosuid",
    "noexec",
    "nodev",
    "noatime",
    "nosymfollow",
    "sync",
    "mode=700",
    "mode=0",
    "size=64k",
    "size=1%",
    "size=0",
    "nr_inodes=10",
    "uid=1000",
    "gid=1000",
    "tmpcopyup",
    "mode=9",
    "unknown=1",
    "exec",
    "rslave",
    "",
):
    options(word or "an empty option", word, kind="tmpfs")
options("bind after rbind", "rbind", "bind")
options("rbind after bind", "bind", "rbind")
options("neither bind nor rbind")
options("twice ro", "bind", "ro", "ro")
options("ro then rw", "bind", "ro", "rw")
options("rbind, ro in a user namespace", "rbind", "ro", who="userns")
options("ro in a user namespace", "ro", kind="tmpfs", who="userns")
entry("without a type, bind", lambda place: {"destination": "/mnt", "source": a_directory(place), "options": ["bind"]})
entry("without a type and options", lambda place: {"destination": "/mnt", "source": a_directory(place)})
entry("type none", lambda place: mount("/mnt", "none", a_directory(place), ["rbind"]))
entry("unknown type", lambda place: mount("/mnt", "nothing", "nothing"))
entry("without a source", lambda place: {"destination": "/mnt", "type": "tmpfs"})
entry("empty source", lambda place: mount("/mnt", "tmpfs", ""))
entry("bind without a source", lambda place: {"destination": "/mnt", "type": "bind", "options": ["bind"]})
entry("without a destination", lambda place: {"type": "tmpfs", "source": "tmpfs"})
entry("empty destination", lambda place: mount("", "tmpfs", "tmpfs"))
entry("destination /", lambda place: mount("/", "tmpfs", "tmpfs"))
entry("relative destination", lambda place: mount("mnt", "tmpfs", "tmpfs"))
entry("dots in the destination", lambda place: mount("/tmp/../mnt/.", "tmpfs", "tmpfs"))
entry("dots beyond the root", lambda place: mount("/../../mnt", "tmpfs", "tmpfs"))
entry("slashes in the destination", lambda place: mount("//mnt//", "tmpfs", "tmpfs"))
entry("options null", lambda place: {"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": None})
entry("relative source", lambda place: (place.directory("bundle/here"), mount("/mnt", "bind", "here", ["bind"]))[1])
entry(
    "relative source with dots", lambda place: (a_directory(place), mount("/mnt", "bind", "../outside/directory", ["bind"]))[1]
)
entry("the same twice", lambda place: [mount("/mnt", "tmpfs", "tmpfs")] * 2)
entry(
    "one in the other", lambda place: [mount("/mnt", "tmpfs", "tmpfs"), mount("/mnt/in", "bind", a_directory(place), ["bind"])]
)
entry(
    "the outer one last",
    lambda place: [mount("/mnt/in", "tmpfs", "tmpfs"), mount("/mnt", "bind", a_directory(place), ["bind"])],
)


def readonly_with_cwd(config, place):
    config["mounts"] += [mount("/mnt", "tmpfs", "tmpfs", ["ro"])]
    config["process"]["cwd"] = "/mnt/work"
    watch(config, "/mnt")


case("mount: tmpfs read-only, with the working directory in it", readonly_with_cwd)
entry("read-only, with one in it", lambda place: [mount("/mnt", "tmpfs", "tmpfs", ["ro"]), mount("/mnt/in", "tmpfs", "tmpfs")])
entry(
    "a source that an earlier one makes",
    lambda place: [
        mount("/opt", "bind", a_directory(place), ["bind"]),
        mount("/mnt", "bind", str(place.rootfs / "opt"), ["bind"]),
    ],
)
entry(
    "a target with the path of the root filesystem",
    lambda place: mount(f"{place.rootfs}/at", "bind", a_directory(place), ["bind"]),
    at="/at",
)
entry("a file bound on two targets", lambda place: [mount(at, "bind", a_file(place), ["bind"]) for at in ("/mnt/a", "/mnt/b")])
entry("a device of the host", lambda place: mount("/mnt/null", "bind", "/dev/null", ["bind"]), at="/mnt/null")
entry("on /dev/shm", lambda place: mount("/dev/shm", "tmpfs", "tmpfs", ["size=10k"]), at="/dev/shm")
entry("below /dev", lambda place: mount("/dev/mine", "bind", a_file(place), ["bind"]), at="/dev/mine")
entry("on /dev/null", lambda place: mount("/dev/null", "bind", "/dev/zero", ["bind"]), at="/dev/null")
entry("a file in /sys", lambda place: mount("/sys/kernel", "tmpfs", "tmpfs"), at="/sys/kernel")
entry("tmpfs on /proc/acpi", lambda place: mount("/proc/acpi", "tmpfs", "tmpfs"), at="/proc/acpi")
entry("a file on /proc/meminfo", lambda place: mount("/proc/meminfo", "bind", a_file(place), ["bind"]), at="/proc/meminfo")
entry("a file on /proc/version", lambda place: mount("/proc/version", "bind", a_file(place), ["bind"]), at="/proc/version")
entry(
    "id-mapped by members",
    lambda place: {
        **mount("/mnt", "bind", a_directory(place), ["bind", "idmap"]),
        "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
        "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
    },
)
for who in ("root", "userns"):
    entry(
        "id-mapped, of a source that an earlier one makes" + (" in a user namespace" if who != "root" else ""),
        lambda place: [
            mount("/opt", "bind", a_directory(place), ["bind"]),
            {
                **mount("/mnt", "bind", str(place.rootfs / "opt"), ["bind", "idmap"]),
                "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
                "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
            },
        ],
        who,
    )
entry("a link with copy-symlink", lambda place: mount("/mnt/x", "bind", a_link(place), ["bind", "copy-symlink"]), at="/mnt/x")
entry("a link with src-nofollow", lambda place: mount("/mnt/x", "bind", a_link(place), ["bind", "src-nofollow"]), at="/mnt/x")


def flags(name, *words, of=("nosuid", "nodev"), who="root", **more):
    """A bind of a filesystem that has flags."""

    def make(place):
        from host import mount_with

        source = place.directory("outside/flags")
        mount_with(source, of)
        return mount("/mnt", "bind", source, ["bind", *words])

    entry(f"bind of a filesystem with {','.join(of)}: {name or ','.join(words) or 'no option'}", make, who, **more)


for words in ((), ("ro",), ("suid",), ("nosuid",), ("rw",), ("exec", "dev", "suid")):
    flags("", *words)
flags("", of=("noatime",))
flags("", "relatime", of=("noatime",))
flags("", of=("ro",))
flags("", "rw", of=("ro",))
flags("", "noatime", "atime", of=("relatime",))
flags("ro in a user namespace", "ro", who="userns")


def a_link_of_the_image(place):
    a_directory(place)
    os.symlink(place.folder / "outside/directory", place.upper / "way")
    return mount("/mnt", "bind", str(place.rootfs / "way"), ["bind"])


entry("a source beneath the root, by a link of the image", a_link_of_the_image)


def linked(name):
    def prepare(place):
        os.mkdir(place.upper / "volume")
        os.rmdir(place.rootfs / name)
        os.symlink("volume", place.rootfs / name)

    case(f"a link of the image at /{name}", lambda config, place: watch(config, "/volume"), prepare=prepare)


for name in ("dev", "proc", "sys", "tmp"):
    linked(name)
