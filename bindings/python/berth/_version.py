"""Which package this is, and which library it uses."""

from __future__ import annotations

from typing import Any, Dict

from . import _arguments
from ._library import library

#: The package's version; the library's own is :func:`version`.
__version__ = "0.1.0"


def version() -> str:
    """The library's version, like "0.1.0"."""
    text: bytes = library().functions.berth_version()
    return text.decode()


def abi_version() -> int:
    """The version of the library's ABI. It grows whenever functions, constants or members are added."""
    number: int = library().functions.berth_abi_version()
    return number


def has_feature(name: str) -> bool:
    """Whether the library can do something ("exec", "cgroup-v2", "checkpoint", ...; include/berth.h lists the names).

    What the host's kernel offers is another question, which the calls themselves answer.
    """
    return bool(library().functions.berth_has_feature(_arguments.text(name, "name")))


def features() -> Dict[str, Any]:
    """What a configuration may say, as the features document of the OCI runtime specification: versions, hooks, mount options,
    namespaces, capabilities and so on that :meth:`Config.from_json` accepts.

    It is about this library; the kernel may lack a thing all the same, and :meth:`Runtime.create` then raises.
    """
    loaded = library()
    document: Dict[str, Any] = loaded.json(loaded.functions.berth_features_json)
    return document


def strerror(code: int) -> str:
    """A few words for an error's code; 0 is "success"."""
    text: bytes = library().functions.berth_strerror(_arguments.number(code, "code"))
    return text.decode()
