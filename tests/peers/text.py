"""The text of config.json itself, and numbers, names and versions that are not as the schema has them."""

import json

from cases import case
from config import ABSENT, put


def version(name, value, **more):
    def change(config, place):
        put(config, "ociVersion", value)

    case(f"ociVersion: {name}", change, **more)


def edited(name, edit, **more):
    def change(config, place):
        return edit(json.dumps(config))

    case(f"text: {name}", change, **more)


for minor in ("1.0.0", "1.1.0", "1.2.1", "1.3.0", "1.99.0", "1.0.2-dev", "1.2.0+build"):
    version(minor, minor)
version("absent", ABSENT)
version("empty", "")
version("words", "newest")
version("0.9.0", "0.9.0")
version("2.0.0", "2.0.0")
version("a number", 1)
edited("empty", lambda text: "")
edited("null", lambda text: "null")
edited("a list", lambda text: "[]")
edited("an empty object", lambda text: "{}")
edited("cut off", lambda text: text[:-20])
edited("more after the end", lambda text: text + "x")
edited("white space around", lambda text: f"\n\t {text}\r\n")
edited("a byte order mark", lambda text: "\ufeff" + text)
edited("a name twice", lambda text: text[:-1] + ', "hostname": "second"}')
edited("names in another case", lambda text: text.replace('"hostname"', '"HostName"'))
edited("escapes", lambda text: text.replace('"peers"', '"pe\\u0065rs"'))
edited("bytes that are not UTF-8", lambda text: text.replace('"TERM=xterm"', '"TERM=\xff"').encode("latin-1"))
edited("a number as a string", lambda text: text.replace('"uid": 0', '"uid": "0"'))
edited("a fraction", lambda text: text.replace('"uid": 0', '"uid": 0.5'))
edited("a whole fraction", lambda text: text.replace('"uid": 0', '"uid": 0.0'))
edited("an exponent", lambda text: text.replace('"uid": 0', '"uid": 1e3'))
edited("a negative id", lambda text: text.replace('"uid": 0', '"uid": -1'))
edited("an id beyond 32 bits", lambda text: text.replace('"uid": 0', '"uid": 4294967296'))
edited("a boolean as a string", lambda text: text.replace('"noNewPrivileges": true', '"noNewPrivileges": "true"'))
edited("a comment", lambda text: "// comment\n" + text)
edited("a comma too many", lambda text: text[:-1] + ",}")


def put_all(name, view="v2", **values):
    def change(config, place):
        for path, value in values.items():
            put(config, path.replace("__", "."), value)

    case(f"platform: {name}", change, view=view)


put_all("windows", windows={"layerFolders": ["x"]})
put_all("empty windows", windows={})
put_all("solaris", solaris={"milestone": "x"})
put_all("vm", vm={"kernel": {"path": "/x"}})
put_all("rlimit without hard", process__rlimits=[{"type": "RLIMIT_CORE", "soft": 0}])
put_all("mapping without size", linux__uidMappings=[{"containerID": 0, "hostID": 0}])
