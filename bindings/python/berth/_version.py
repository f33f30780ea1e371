"""Versions of the package and of the library."""

from __future__ import annotations

from typing import Any, Dict

from . import _arguments, raw
from ._library import library

#: The version of the package; :func:`version` returns the library's.
__version__ = "0.1.0"
#: The version of the header that the package was made from, as three numbers.
HEADER_VERSION = (raw.BERTH_VERSION_MAJOR, raw.BERTH_VERSION_MINOR, raw.BERTH_VERSION_PATCH)


def version() -> str:
    """Returns the version of the library, such as "0.1.0"."""
    text: bytes = library().functions.berth_version()
    return text.decode()


def abi_version() -> int:
    """Returns the version of the library's ABI. It grows by one whenever functions, constants or members are added."""
    number: int = library().functions.berth_abi_version()
    return number


def has_feature(name: str) -> bool:
    """Checks whether the library has a feature ("exec", "cgroup-v2", ...; include/berth.h lists the names).

    The host's kernel may still lack what the feature needs; the calls report that.
    """
    return bool(library().functions.berth_has_feature(_arguments.text(name, "name")))


def features() -> Dict[str, Any]:
    """Returns the features document of the OCI runtime specification: the versions, hooks, mount options, namespaces,
    capabilities and so on that :meth:`Config.from_json` accepts.

    It describes this library; :meth:`Runtime.create` raises where the kernel lacks a feature.
    """
    loaded = library()
    document: Dict[str, Any] = loaded.json(loaded.functions.berth_features_json)
    return document


def strerror(code: int) -> str:
    """Describes an error code; 0 is "success"."""
    text: bytes = library().functions.berth_strerror(_arguments.number(code, "code"))
    return text.decode()


def error_name(code: int) -> str:
    """Returns the name of an error code in C, such as "BERTH_E_NOT_FOUND"; "unknown" for one that the library does not know."""
    text: bytes = library().functions.berth_error_name(_arguments.number(code, "code"))
    return text.decode()


def status_name(status: int) -> str:
    """Returns the name of a status as the OCI runtime specification spells it, such as "running"."""
    text: bytes = library().functions.berth_status_name(_arguments.number(status, "status"))
    return text.decode()
