"""Each command in each state of a container."""

import json
import signal
import subprocess
import time

from cases import case
from config import ABSENT, put

STATES = ("absent", "created", "running", "paused", "stopped")


class Commands:
    """Calls a runtime step by step; every step is a fact."""

    def __init__(self, runtime, place):
        self.runtime = runtime
        self.place = place
        self.facts = {}
        self.steps = 0

    def call(self, *arguments, given="", fact=True, shown=False, **more):
        status, output, errors = self.runtime.call(self.place, *arguments, given=given, **more)
        if fact:
            self.steps += 1
            name = f"step {self.steps} ({' '.join(arguments)})".replace(str(self.place.folder), "")
            self.facts[name] = f"exit {status}" if status else "good"
            self.facts[f"#{name}"] = errors.strip()
            if shown:
                self.facts[f"output of {name}"] = output.strip()
        return status, output

    def create(self, fact=True, words=("create",), id=None):
        """`create` and `run --detach` leave their streams to the container, so they are files."""
        arguments = [*words, "--bundle", str(self.place.bundle), id or self.place.id]
        with open(self.place.folder / "output", "ab") as file:
            with self.runtime.start(self.place, *arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file) as process:
                status = process.wait(60)
        if fact:
            self.steps += 1
            self.facts[f"step {self.steps} ({' '.join(words)})"] = f"exit {status}" if status else "good"
        return status

    def reach(self, state):
        if state == "absent":
            return
        self.create(fact=False)
        if state != "created":
            self.call("start", self.place.id, fact=False)
        if state == "paused":
            self.call("pause", self.place.id, fact=False)
        if state == "stopped":
            self.call("kill", self.place.id, "KILL", fact=False)
            self.until("stopped")
        self.facts["state before"] = self.status()

    def status(self):
        status, output = self.call("state", self.place.id, fact=False)
        return json.loads(output)["status"] if status == 0 else "absent"

    def until(self, state, seconds=10):
        deadline = time.monotonic() + seconds
        while self.status() != state and time.monotonic() < deadline:
            time.sleep(0.02)

    def end(self):
        self.facts["state after"] = self.status()
        self.call("delete", "--force", self.place.id, fact=False)
        self.facts["state after delete --force"] = self.status()
        return {**self.facts, "outcome": "called"}


def sleeper(config, place):
    put(config, "process.args", ["/bin/sleep", "1000"])


def verb(name, call, until=None, states=STATES, change=sleeper, view="v2", who="root"):
    for state in states:

        def commands(runtime, place, state=state):
            steps = Commands(runtime, place)
            steps.reach(state)
            call(steps, place.id)
            if until and state in ("created", "running"):
                steps.until(until)
            elif until and state == "paused":
                steps.until(until, 2)
            return steps.end()

        case(f"command: {name}, {state}", change, commands=commands, view=view, who=who)


def plain(*arguments):
    return lambda steps, id: steps.call(*[id if word == "ID" else word for word in arguments])


def state_document(steps, id):
    status, output = steps.call("state", id)
    if status == 0:
        document = json.loads(output)
        for member in ("id", "status", "bundle", "annotations"):
            steps.facts[f"state's {member}"] = json.dumps(document.get(member)).replace(str(steps.place.folder), "")
        steps.facts["state has a pid"] = str(document.get("pid", 0) > 0)


verb("create", lambda steps, id: steps.create())
verb("start", plain("start", "ID"))
verb("state", state_document)
verb("pause", plain("pause", "ID"))
verb("resume", plain("resume", "ID"))
verb("kill", plain("kill", "ID", "KILL"), "stopped")
verb("kill without a signal", plain("kill", "ID"), states=("absent", "created", "stopped"))
verb("kill by number", plain("kill", "ID", "9"), "stopped", ("running", "stopped"))
verb("kill with SIG", plain("kill", "ID", "SIGKILL"), "stopped", ("running",))
verb("kill with an unknown signal", plain("kill", "ID", "NOTHING"), states=("running", "absent"))
verb("kill 0", plain("kill", "ID", "0"), states=("running", "stopped"))
verb("kill --all", plain("kill", "--all", "ID", "KILL"), "stopped")
verb("delete", plain("delete", "ID"))
verb("delete --force", plain("delete", "--force", "ID"))
verb("exec", lambda steps, id: steps.call("exec", id, "echo", "here", shown=True))
verb("exec --detach", plain("exec", "--detach", "ID", "true"), states=("created", "running", "stopped"))
verb("ps", plain("ps", "ID"))
verb("update", plain("update", "--cpu-period", "50000", "ID"), states=("absent", "stopped"))
verb("run", lambda steps, id: steps.create(words=("run", "--detach")))
verb("list", lambda steps, id: steps.facts.update({"listed": str(id in steps.call("list", "--quiet")[1])}))
verb("kill in v1", plain("kill", "ID", "KILL"), "stopped", view="v1")
verb("pause in v1", plain("pause", "ID"), view="v1")
verb("delete in v1", plain("delete", "ID"), view="v1")
verb("delete --force in v1", plain("delete", "--force", "ID"), view="v1")
verb("exec in v1", lambda steps, id: steps.call("exec", id, "echo", "here", shown=True), view="v1")
verb("update in v1", plain("update", "--pids-limit", "50", "ID"), states=("created", "running", "paused"), view="v1")


def execute(name, *words, who="root", view="v2"):
    """`exec` in a running container; its output is a fact."""
    at = words.index("ID")
    verb(
        f"exec {name}",
        lambda steps, id: steps.call("exec", *words[:at], id, *words[at + 1 :], shown=True),
        states=("running",),
        who=who,
        view=view,
    )


ENV = ("ID", "/bin/sh", "-c", "tr '\\0' '\\n' </proc/$$/environ | sort")
FACTS = ("ID", "/bin/sh", "-c", "grep -E '^(Uid|Gid|Groups|Cap|NoNew|Umask|Seccomp:)' /proc/$$/status; pwd")
execute("environment", *ENV)
execute("--env", "--env", "A=1", *ENV)
execute("--env twice", "--env", "A=1", "--env", "A=2", *ENV)
execute("--env of the configuration", "--env", "TERM=other", *ENV)
execute("--env PATH", "--env", "PATH=/bin", *ENV)
execute("--env without =", "--env", "A", *ENV)
execute("facts", *FACTS)
execute("facts in a user namespace", *FACTS, who="userns")
execute("--user", "--user", "1000:100", *FACTS)
execute("--user without a group", "--user", "1000", *FACTS)
execute("--user by name", "--user", "app", *FACTS)
execute("--cwd", "--cwd", "/tmp", *FACTS)
execute("--cwd missing", "--cwd", "/nothing/here", *FACTS)
execute("--cap", "--cap", "CAP_SYS_ADMIN", *FACTS)
execute("--cap unknown", "--cap", "CAP_NOTHING", *FACTS)
execute("--no-new-privs", "--no-new-privs", *FACTS)
execute("missing", "ID", "/nothing/here")
execute("not found", "ID", "nothing-here")
execute("directory", "ID", "/etc")
execute("status 7", "ID", "/bin/sh", "-c", "exit 7")
execute("by a signal", "ID", "/bin/sh", "-c", "kill -9 $$")
execute("streams", "--user", "1000", "ID", "/bin/sh", "-c", "stat -L -c '%F %u' /proc/self/fd/1; echo x >/dev/stderr")
execute("cgroup", "ID", "cat", "/proc/self/cgroup")
execute("cgroup in v1", "ID", "cat", "/proc/self/cgroup", view="v1")
execute("without a program", "ID")


def arguments(name, *words, change=sleeper):
    """A command line that has nothing to do with a container's state."""

    def commands(runtime, place):
        steps = Commands(runtime, place)
        steps.call(*[str(place.bundle) if word == "BUNDLE" else place.id if word == "ID" else word for word in words])
        return steps.end()

    case(f"command line: {name}", change, commands=commands)


for id in ("a.b", "a_b", "a+b", "a-b", "A", "..", "a/b", "a b", "é", "-a", "x" * 300):
    arguments(
        f"run as {id[:20]!r}",
        "run",
        "--bundle",
        "BUNDLE",
        id,
        change=lambda config, place: put(config, "process.args", ["true"]),
    )
arguments("run without an id", "run", "--bundle", "BUNDLE")
arguments("run with an empty id", "run", "--bundle", "BUNDLE", "")
arguments("run with two ids", "run", "--bundle", "BUNDLE", "ID", "second")
arguments("run without a bundle", "run", "--bundle", "/nothing/here", "ID")
arguments("an unknown option", "run", "--nothing", "ID")
arguments("an unknown command", "nothing")
arguments("a pid file in a folder that is missing", "run", "--pid-file", "/nothing/here", "--bundle", "BUNDLE", "ID")
arguments(
    "terminal without a socket",
    "run",
    "--detach",
    "--bundle",
    "BUNDLE",
    "ID",
    change=lambda config, place: put(config, "process.terminal", True),
)
arguments("no process", "run", "--bundle", "BUNDLE", "ID", change=lambda config, place: put(config, "process", ABSENT))
arguments("--version", "--version")
arguments("features", "features")
arguments("list where nothing is", "list")


def exits(name, script, status=None):
    def commands(runtime, place):
        steps = Commands(runtime, place)
        steps.call("run", "--bundle", str(place.bundle), place.id, given="from the driver", shown=True)
        return steps.end()

    case(f"run: {name}", lambda config, place: put(config, "process.args", ["/bin/sh", "-c", script]), commands=commands)


exits("exit status 0", "exit 0")
exits("exit status 3", "exit 3")
exits("exit status 255", "exit 255")
exits("killed", "kill -9 $$")
exits("terminated", "kill -15 $$; sleep 1")
exits("output", "echo out; echo err >&2")
exits("input", "cat")
exits("large output", "head -c 300000 /dev/zero | tr '\\0' x")
exits("children that stay", "sleep 1000 & echo started")
exits("closed streams", "exec >&- 2>&- <&-; exit 4")


def shared(state, view):
    """A second container with the cgroup of the first one."""

    def commands(runtime, place):
        steps = Commands(runtime, place)
        steps.reach(state)
        steps.create(words=("run", "--detach"), id="second")
        steps.call("delete", "--force", "second", fact=False)
        return steps.end()

    case(f"cgroupsPath: that of another container, {state}, in {view}", sleeper, commands=commands, view=view)


for view in ("v1", "v2"):
    for state in ("created", "running", "stopped"):
        shared(state, view)


def without_a_process(config, place):
    put(config, "process", ABSENT)


verb("create without a process", lambda steps, id: steps.create(), states=("absent",), change=without_a_process)
verb("start without a process", plain("start", "ID"), states=("created",), change=without_a_process)


def failing_hook(config, place):
    sleeper(config, place)
    config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "exit 3"]}]}


verb("start with a failing hook", plain("start", "ID"), states=("created",), change=failing_hook)


def with_hook(kind, script):
    """A hook of the host that reads the state and then runs this script beside the bundle."""

    def change(config, place):
        sleeper(config, place)
        text = f"#!/bin/sh\ncat >/dev/null\ncd {place.outside}\n{script}\n"
        config["hooks"] = {kind: [{"path": place.file("outside/hook", text, 0o755)}]}

    return change


def create_and_start(steps, id):
    said = steps.place.outside / "said"
    steps.create()
    steps.facts["said before start"] = str(said.exists())
    steps.call("start", id)
    steps.facts["said after start"] = str(said.exists())


verb("create, start with a poststart hook", create_and_start, states=("absent",), change=with_hook("poststart", ">said"))
verb("create, start with a failing poststart hook", create_and_start, states=("absent",), change=with_hook("poststart", "exit 3"))
verb("delete with a failing poststop hook", plain("delete", "ID"), states=("stopped",), change=with_hook("poststop", "exit 3"))


def poststop_hook(config, place):
    sleeper(config, place)
    path = place.file("outside/hook", f"#!/bin/sh\ncat >/dev/null\npwd >{place.outside}/said\n", 0o755)
    config["hooks"] = {"poststop": [{"path": path}]}


def delete_with_hook(steps, id):
    steps.call("delete", id)
    steps.facts["said by the hook"] = (steps.place.outside / "said").read_text().strip()


verb("delete with a poststop hook", delete_with_hook, states=("stopped",), change=poststop_hook)


def ignored_signal(runtime, place):
    """The caller ignores a signal, as nohup(1) and programs in Python do."""
    steps = Commands(runtime, place)
    given = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    steps.call("run", "--bundle", str(place.bundle), place.id, shown=True, **given)
    return steps.end()


case(
    "run: a signal that the caller ignores",
    lambda config, place: put(config, "process.args", ["/bin/grep", "^SigIgn", "/proc/self/status"]),
    commands=ignored_signal,
)
