"""Validated configurations."""

from __future__ import annotations

from ctypes import POINTER, byref
from typing import Any, Dict, Optional

from . import _arguments, raw
from ._arguments import Document
from ._handle import Handle
from ._library import StrPath, library


def default_spec() -> Dict[str, Any]:
    """Returns a default configuration, the one that ``runc spec`` writes, as a dictionary.

    It runs a shell on a terminal, in new namespaces, with a read-only root filesystem at "rootfs".
    """
    loaded = library()
    spec: Dict[str, Any] = loaded.json(loaded.functions.berth_config_default_json)
    return spec


def default_rootless_spec(uid: int, gid: int) -> Dict[str, Any]:
    """Returns a default configuration for an unprivileged caller, as ``runc spec --rootless`` writes it: a user
    namespace whose root is ``uid`` and ``gid`` of the host, the host's network, and no limits.
    """
    loaded = library()
    high = 2**32 - 1
    ids = (_arguments.number(uid, "uid", 0, high), _arguments.number(gid, "gid", 0, high))
    spec: Dict[str, Any] = loaded.json(loaded.functions.berth_config_default_rootless_json, *ids)
    return spec


class Config(Handle):
    """A validated OCI configuration (config.json). Immutable; one configuration can be used for many containers."""

    _free = "berth_config_free"

    @classmethod
    def from_bundle(cls, bundle: StrPath, file: Optional[StrPath] = None) -> Config:
        """Reads config.json, or another ``file``, from the directory ``bundle`` (OCI "Filesystem Bundle").

        Relative paths in it are relative to the bundle. The document is validated as by :meth:`from_json`.

        :raises ConfigInvalid: it is invalid.
        :raises Unsupported: this version does not support it.
        :raises System: with ENOENT, the file does not exist.
        """
        loaded = library()
        config = POINTER(raw.berth_config)()
        folder = _arguments.path(bundle, "bundle")
        if file is None:
            loaded.call(loaded.functions.berth_config_from_bundle, folder, byref(config))
        else:
            name = _arguments.path(file, "file")
            loaded.call(loaded.functions.berth_config_from_file, folder, name, byref(config))
        return cls(loaded, config)

    @classmethod
    def from_json(cls, spec: Document, rootfs: Optional[StrPath] = None) -> Config:
        """Parses a configuration (OCI "Configuration"), a dictionary or JSON text.

        It is validated completely, without accessing the host: types, bounds, names, contradictions. Paths in it must
        be absolute, since there is no bundle.

        :param rootfs: a directory to use instead of ``root.path``.
        :raises ConfigInvalid: it is invalid; the message begins with the JSON path of the field, which
            :attr:`Error.json_path` has, too.
        :raises Unsupported: this version does not support it. Nothing is silently ignored.
        """
        loaded = library()
        config = POINTER(raw.berth_config)()
        text = _arguments.document(spec, "spec")
        root = _arguments.optional_path(rootfs, "rootfs")
        loaded.call(loaded.functions.berth_config_from_json, text, root, byref(config))
        return cls(loaded, config)

    def with_networks(self, networks: Document) -> Config:
        """Returns a copy of the configuration with networks and routes, which config.json cannot express. They replace
        those that this configuration may have.

        :param networks: a dictionary or JSON text with the lists "networks" (of type "loopback" or "veth") and
            "routes"; docs/networks.md describes the members.
        :raises ConfigInvalid: with the JSON path in ``networks``, like "networks[0].address".
        """
        config = POINTER(raw.berth_config)()
        text = _arguments.document(networks, "networks")
        self._call(self._c.berth_config_with_networks, text, byref(config))
        return type(self)(self._library, config)

    def validate(self) -> None:
        """Checks what the configuration refers to on the host: the root filesystem, namespaces to join, the first hook,
        sources of bind mounts, bridges, devices to move, names of interfaces. Changes nothing. :meth:`Runtime.create`
        makes the same checks first.

        :raises ConfigInvalid, Unsupported: as :meth:`from_json`.
        """
        self._call(self._c.berth_config_validate)

    def explain(self) -> Dict[str, Any]:
        """Returns what :meth:`Runtime.create` does on this host: "steps" has the steps of the container's init in
        order, "user_namespaces" the user namespaces that the caller creates for id-mapped mounts, and "outside" what
        the caller does to init during setup. Creates nothing.

        For people and for comparison: names of steps may change between versions.

        :raises ConfigInvalid, Unsupported: as :meth:`validate`.
        """
        plan: Dict[str, Any] = self._json(self._c.berth_config_explain_json)
        return plan

    def to_json(self) -> str:
        """Returns the text that the configuration was made from."""
        with self._held() as pointer:
            return self._library.text(self._c.berth_config_to_json, pointer)
