"""A demonstration: creates a container, executes a command in it, prints its state and usage, and deletes it.

    python3 -m berth [--library PATH] [--state-root DIRECTORY] [ROOTFS]

ROOTFS is the directory of a root filesystem with /bin/sh, ps and hostname. Without it, a temporary one is created from
the host's static busybox (Debian: apt-get install busybox-static) and removed at the end. Needs root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, Optional

import berth


def tell(text: str) -> None:
    print(f"* {text}", flush=True)


def make_rootfs(folder: Path) -> str:
    """Creates a root filesystem from the host's busybox. Downloads nothing."""
    busybox = shutil.which("busybox")
    if busybox is None:
        sys.exit("berth: no root filesystem was given and busybox is not installed; apt-get install busybox-static")
    for name in ("bin", "dev", "proc", "sys", "tmp"):
        (folder / name).mkdir(parents=True)
    shutil.copy(busybox, folder / "bin/busybox")
    try:
        applets = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"berth: {busybox} cannot be executed: {error}")
    for applet in applets.stdout.decode().split():
        if applet != "busybox":
            (folder / "bin" / applet).symlink_to("busybox")
    return str(folder)


def live(runtime: berth.Runtime, rootfs: str) -> None:
    spec = berth.default_spec()
    spec["process"].update(
        args=["sh", "-c", 'echo "hello from $(hostname): I am process $$ in here"; read line; echo "$line"; exit 7'],
        terminal=False,
    )
    spec["hostname"] = "berth-demo"
    with berth.Config.from_json(spec, rootfs=rootfs) as config:
        tell(f"the configuration is valid; the setup has {len(config.explain()['steps'])} steps")
        container = runtime.create("demo", config, stdin=berth.PIPE, stdout=berth.PIPE)
    with berth.deleting(container):
        tell(f"the container {container.id!r} is {container.status()}")
        container.start()
        init = container.init
        assert init.stdin is not None and init.stdout is not None
        tell(f"it is {container.status()}, its init has process id {init.pid} on the host, and its output is:")
        print("   ", init.stdout.readline().decode().rstrip())

        with container.exec(["ps", "-o", "pid,user,args"], stdin=berth.DEVNULL, stdout=berth.PIPE) as process:
            tell("the output of ps, executed in the container:")
            for line in process.communicate(timeout=60)[0].decode().splitlines():
                print("   ", line)
            tell(f"ps {process.wait(60)}")

        container.pause()
        tell(f"it is {container.status()}")
        container.resume()
        tell(f"it is {container.status()}")

        used = container.stats()
        tell(
            f"its usage: {amount(used.cpu_usage_ns, 1000)} us of CPU time, "
            f"{amount(used.memory_usage, 1024)} KiB of memory"
        )

        try:
            container.set({"pids": {"limit": "many"}})
        except berth.ConfigInvalid as error:
            tell(f"the error message of an invalid value: {error}")

        init.stdin.write(b"bye\n")
        init.stdin.close()
        tell(f"its last output is {init.stdout.read().decode().strip()!r}; it {container.wait(60)}")
    tell(f"it is deleted; {len(runtime.list())} containers are left")


def amount(number: Optional[int], unit: int) -> str:
    return "an unknown number of" if number is None else str(number // unit)


def main(arguments: Optional[List[str]] = None) -> None:
    parser = argparse.ArgumentParser(prog="python3 -m berth", description="Create, use and delete a container.")
    parser.add_argument("rootfs", nargs="?", help="directory of a root filesystem; default: temporary, with busybox")
    parser.add_argument("--library", help="path of libberth.so; default: the package's, or else the system's")
    parser.add_argument("--state-root", help="directory for the state of the containers; default: a temporary one")
    options = parser.parse_args(arguments)
    try:
        path = berth.load(options.library)
        tell(f"libberth {berth.version()}, loaded from {path}")
        if os.geteuid() != 0:
            sys.exit("berth: root is required to create namespaces, cgroups and mounts")
        with tempfile.TemporaryDirectory(prefix="berth-demo.") as folder:
            rootfs = options.rootfs or make_rootfs(Path(folder, "rootfs"))
            with berth.Runtime(options.state_root or Path(folder, "state")) as runtime:
                live(runtime, rootfs)
    except (berth.Error, berth.LoadError) as error:
        sys.exit(f"berth: {error}")


if __name__ == "__main__":
    main()
