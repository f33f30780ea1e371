"""Makes facts, which are names with values, of what the program in a container has printed."""

import os


def of_program(lines):
    found = {}
    section = None
    for line in lines:
        if line.startswith("@"):
            section = READERS.get(line[1:])
        elif section and line:
            section(line, found)
    # Others use the host at the same time.
    if found.get("namespace net") == "the host's":
        found["process links"] = "of the host"
    if found.get("namespace pid") == "the host's":
        for name in ("process pid", "process session", "status NSpid"):
            found[name] = "of the host"
    return found


def add(found, name, value):
    """Facts with the same name are joined in their order."""
    found[name] = f"{found[name]}; {value}" if name in found else value


def plain(prefix, separator=" "):
    def read(line, found):
        name, _, value = line.partition(separator)
        add(found, f"{prefix} {name}", value.strip())

    return read


def of_limits(line, found):
    if not line.startswith("Limit "):
        add(found, f"limit {line[:26].strip()}", " ".join(line[26:].split()))


def of_mounts(line, found):
    """A line of mountinfo without ids and device numbers. It does not matter of what a mask is made."""
    before, _, after = line.partition(" - ")
    root, point, options, *tags = before.split(" ")[3:]
    kind, source, of_filesystem = after.split(" ")
    if root == "/null" or "nr_inodes=1" in of_filesystem.split(",") or root.endswith("/.empty-directory"):
        return add(found, f"mount {point}", "masked")
    # It does not matter whether the mount or its filesystem is read-only.
    options, of_filesystem = options.split(","), of_filesystem.split(",")
    if "ro" in of_filesystem:
        options[0] = "ro"
    # The mode of a directory shows at its path.
    of_filesystem = [option for option in of_filesystem if option not in ("ro", "rw") and not option.startswith("mode=")]
    add(found, f"mount {point}", f"{kind} {root}")
    add(found, f"options of {point}", ",".join(options))
    add(found, f"propagation of {point}", " ".join(tag.partition(":")[0] for tag in tags) or "private")
    if not kind.startswith("cgroup"):
        add(found, f"source of {point}", source or "none")
    add(found, f"filesystem options of {point}", ",".join(of_filesystem))


def of_namespaces(line, found):
    kind, _, value = line.partition(" ")
    own = os.readlink(f"/proc/self/ns/{kind}")
    found[f"namespace {kind}"] = "the host's" if value == own else "another"


def of_devices(line, found):
    path, _, what = line.partition(" ")
    found[f"device {path}"] = what


READERS = {
    "args": lambda line, found: add(found, "args", line),
    "env": plain("env", "="),
    "status": plain("status", ":"),
    "limits": of_limits,
    "mounts": of_mounts,
    "cgroup": lambda line, found: add(found, f"in cgroup {line.split(':')[1]}", line.split(":", 2)[2]),
    "maps": plain("map"),
    "namespaces": of_namespaces,
    "process": plain("process"),
    "streams": plain("stream"),
    "devices": of_devices,
    "links": plain("link"),
    "paths": lambda line, found: add(found, f"path {' '.join(line.split(' ')[:2])}", " ".join(line.split(" ")[2:])),
}
