"""Members of `process`, `root` and the top level: each absent, empty, usual, odd, repeated."""

from cases import case
from config import ABSENT, put, watch


def field(path, **values):
    """A case for each value of the member at a path."""
    for name, value in values.items():

        def change(config, place, value=value):
            put(config, path, value)

        case(f"{path}: {name.replace('_', ' ')}", change)


case("usual")
case("usual in v1", view="v1")
case("usual on a hybrid host", view="hybrid")
case("usual in a user namespace", who="userns")

field(
    "process.user",
    absent=ABSENT,
    empty={},
    usual={"uid": 1000, "gid": 1000},
    without_gid={"uid": 1000},
    of_nobody_s={"uid": 4242, "gid": 4343},
    large={"uid": 4294967294, "gid": 4294967294},
)
field(
    "process.user.additionalGids",
    empty=[],
    usual=[100],
    many=list(range(100, 140)),
    repeated=[5, 5, 100],
    the_same=[0, 0],
    null=None,
)
field("process.user.umask", zero=0, usual=0o27, all=0o777, odd=0o1022, null=None)
field("process.user.username", usual="app", empty="")
field(
    "process.args",
    one=["/bin/true"],
    searched=["sh", "/inside"],
    relative=["bin/sh", "/inside"],
    missing=["/nothing/here"],
    not_found=["nothing-here"],
    directory=["/etc"],
    data=["/etc/passwd"],
    empty_word=[""],
    with_empty=["/bin/sh", "/inside", ""],
    absent=ABSENT,
    empty=[],
    null=None,
)
field(
    "process.cwd",
    root="/",
    usual="/tmp",
    missing="/made/here",
    relative="tmp",
    absent=ABSENT,
    empty="",
    dots="/tmp/../etc",
    file="/etc/passwd",
    proc="/proc/self",
    link="/usr/bin",
    slashes="//tmp//",
)
field(
    "process.env",
    absent=ABSENT,
    empty=[],
    null=None,
    usual=["PATH=/bin", "A=1"],
    empty_value=["PATH=/bin", "A="],
    repeated=["PATH=/bin", "A=1", "B=2", "A=3"],
    equals=["PATH=/bin", "A=b=c"],
    home=["PATH=/bin", "HOME=/elsewhere"],
    spaces=["PATH=/bin", "A B=c d", "LONG=" + "x" * 5000],
    lines=["PATH=/bin", "A=1\n2"],
    unset_path=["A=1"],
    path_twice=["PATH=/nowhere", "PATH=/bin"],
    without_equals=["PATH=/bin", "NOTHING"],
    without_a_name=["PATH=/bin", "=x"],
    empty_word=["PATH=/bin", ""],
    home_empty=["PATH=/bin", "HOME="],
    notify=["PATH=/bin", "NOTIFY_SOCKET=/x", "LISTEN_FDS=3"],
)
field("process.terminal", absent=ABSENT, null=None)
field("process.consoleSize", without_a_terminal={"height": 10, "width": 20})
field("process.noNewPrivileges", absent=ABSENT, false=False, null=None)
field("process.oomScoreAdj", usual=100, zero=0, highest=1000, beyond=1001, null=None)
field("process.apparmorProfile", empty="", absent=ABSENT)
field("process.selinuxLabel", empty="")
field("process.commandLine", ignored="something")
field(
    "process.rlimits",
    absent=ABSENT,
    empty=[],
    null=None,
    lower=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
    soft_above_hard=[{"type": "RLIMIT_NOFILE", "soft": 300, "hard": 200}],
    repeated=[{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}],
    unknown=[{"type": "RLIMIT_NOTHING", "soft": 1, "hard": 1}],
    lower_case=[{"type": "rlimit_core", "soft": 0, "hard": 0}],
    without_prefix=[{"type": "CORE", "soft": 0, "hard": 0}],
    several=[
        {"type": f"RLIMIT_{name}", "soft": 1000, "hard": 2000}
        for name in ("CORE", "DATA", "FSIZE", "LOCKS", "MSGQUEUE", "NPROC", "SIGPENDING")
    ],
)
for kind in ("CORE", "CPU", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NPROC", "RSS", "RTPRIO", "RTTIME", "SIGPENDING"):
    hard = {"NICE": 0, "RTPRIO": 0, "MEMLOCK": 8192, "CPU": 500}.get(kind, 5000)
    field("process.rlimits", **{kind: [{"type": f"RLIMIT_{kind}", "soft": hard, "hard": hard}]})
field(
    "process.scheduler",
    batch={"policy": "SCHED_BATCH", "nice": 5},
    idle={"policy": "SCHED_IDLE"},
    other={"policy": "SCHED_OTHER", "nice": 3},
    nice_without_meaning={"policy": "SCHED_RR", "priority": 1, "nice": 3},
    unknown={"policy": "SCHED_NOTHING"},
    empty={},
    reset={"policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
)
field(
    "process.ioPriority",
    best_effort={"class": "IOPRIO_CLASS_BE", "priority": 2},
    idle={"class": "IOPRIO_CLASS_IDLE", "priority": 0},
    class_alone={"class": "IOPRIO_CLASS_BE"},
    unknown={"class": "IOPRIO_CLASS_NOTHING", "priority": 1},
)
field("process", absent=ABSENT, null=None)


def searched(config, place):
    put(config, "process.env", ["A=1"])
    put(config, "process.args", ["sh", "/inside"])


case("process.args: searched without PATH", searched)

SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")


def capabilities(name, **sets):
    def change(config, place):
        config["process"]["capabilities"] = sets

    case(f"process.capabilities: {name}", change)


field("process.capabilities", absent=ABSENT, empty={}, null=None)
capabilities("all sets", **{kind: ["CAP_KILL", "CAP_CHOWN"] for kind in SETS})
capabilities("all sets empty", **{kind: [] for kind in SETS})
capabilities("bounding alone", bounding=["CAP_KILL"])
capabilities("effective without permitted", bounding=["CAP_KILL"], effective=["CAP_KILL"])
capabilities("permitted beyond bounding", bounding=["CAP_KILL"], permitted=["CAP_KILL", "CAP_CHOWN"])
capabilities("ambient not inheritable", bounding=["CAP_KILL"], permitted=["CAP_KILL"], ambient=["CAP_KILL"])
capabilities("unknown", bounding=["CAP_KILL", "CAP_NOTHING"], permitted=["CAP_KILL", "CAP_NOTHING"])
capabilities("without prefix", bounding=["KILL"], permitted=["KILL"], effective=["KILL"])
capabilities("repeated", bounding=["CAP_KILL", "CAP_KILL"], permitted=["CAP_KILL", "CAP_KILL"])
capabilities("lower case", bounding=["cap_kill"], permitted=["cap_kill"], effective=["cap_kill"])


def of_a_user(config, place):
    config["process"]["user"] = {"uid": 1000, "gid": 1000}
    config["process"]["capabilities"] = {kind: ["CAP_KILL"] for kind in SETS}


case("process.capabilities: of an ordinary user", of_a_user)

field("hostname", absent=ABSENT, empty="", dots="a.example", long="x" * 64, too_long="x" * 65)
field("domainname", usual="example.org", empty="")
field("root.readonly", absent=ABSENT, true=True)
field("root.path", dots="./rootfs", absent=ABSENT, empty="", missing="nothing", file="config.json")
field("root", absent=ABSENT, null=None)
field("annotations", empty={}, usual={"org.example.key": "value"}, empty_key={"": "x"}, null=None, number={"a": 1})
field("mounts", absent=ABSENT, empty=[], null=None)
field("hooks", empty={}, empty_lists={"prestart": [], "poststop": []}, null=None)
field("linux", absent=ABSENT, null=None)
field("unknownMember", ignored={"a": 1})
field("linux.unknownMember", ignored=[1])
field("process.unknownMember", ignored="x")


def hook(kind, script):
    def change(config, place):
        path = place.file(f"outside/{kind}", f"#!/bin/sh\n{script}\n", 0o755)
        config["hooks"] = {kind: [{"path": path}]}

    return change


for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop"):
    case(f"hooks.{kind}: succeeds", hook(kind, "exit 0"))
    case(f"hooks.{kind}: fails", hook(kind, "exit 3"))


def inside_hook(arguments):
    def change(config, place):
        config["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", arguments]}]}
        watch(config, "/tmp/said")

    return change


case("hooks.startContainer: succeeds", inside_hook("echo here >/tmp/said"))
case("hooks.startContainer: fails", inside_hook("exit 3"))
case("hooks.startContainer: environment", inside_hook("env >/tmp/said"))


def says_its_directory(kind):
    def change(config, place):
        path = place.file(f"outside/{kind}", f"#!/bin/sh\npwd >{place.outside}/said\n", 0o755)
        config["hooks"] = {kind: [{"path": path}]}

    return change


for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop"):
    case(f"hooks.{kind}: directory", says_its_directory(kind))


def says_the_status(kind):
    def change(config, place):
        status = "tr -d ' \n' | grep -o '\"status\":\"[a-z]*\"'"
        path = place.file(f"outside/{kind}", f"#!/bin/sh\n{status} >{place.outside}/said\n", 0o755)
        config["hooks"] = {kind: [{"path": path}]}

    return change


for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop"):
    case(f"hooks.{kind}: status", says_the_status(kind))


def with_empty_environment(config, place):
    inside_hook("env >/tmp/said")(config, place)
    config["hooks"]["startContainer"][0]["env"] = []


case("hooks.startContainer: empty environment", with_empty_environment)


def of_path(kind, path, before=None):
    """A hook that has this path, which may be a file beside the bundle, and one of another kind that runs before it."""

    def change(config, place):
        config["hooks"] = {kind: [{"path": str(place.outside / path) if path.startswith("late") else path}]}
        if before:
            hook = place.file("outside/first", f"#!/bin/sh\ncp {place.outside}/source {place.outside}/{path}\n", 0o755)
            place.file("outside/source", "#!/bin/sh\necho ran >>${0%/*}/said\n", 0o755)
            config["hooks"][before] = [{"path": hook}]

    return change


for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop"):
    case(f"hooks.{kind}: missing", of_path(kind, "/nothing/here"))
    case(f"hooks.{kind}: not executable", of_path(kind, "/etc/passwd"))
    case(f"hooks.{kind}: relative", of_path(kind, "bin/true"))
for kind in ("createRuntime", "createContainer", "poststart", "poststop"):
    case(f"hooks.{kind}: made by an earlier hook", of_path(kind, "late", "prestart"))
