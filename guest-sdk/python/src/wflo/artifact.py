"""Artifacts: bytes of any size that a step makes or fetches, and hands on by reference. They need no grant.

A reference is what goes into the output of a step, ``{"artifact": name, "step": ..., "bytes": ..., "digest": ...}``; whoever
depends on that step opens it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from wflo import _host, _json
from wflo.errors import AccessDenied, Invalid, Limit, RefusedByPolicy, Rejected, Unavailable, Unknown, WfloError
from wflo.record import Record

#: Bytes that are gathered before the host is given them, and asked of it at a time.
_GATHERED = 256 * 1024


class Writer:
    """An artifact that is being written. One that is not finished never was."""

    def __init__(self, name: str) -> None:
        self._store = _host.need(_host.store, "artifacts")
        self._host = _host.call(self._store.create, name, error=error)
        self._gathered = bytearray()

    def write(self, said: str | bytes) -> None:
        """Appends text or bytes."""
        self._gathered += said.encode() if isinstance(said, str) else said
        if len(self._gathered) >= _GATHERED:
            self._hand_on()

    def row(self, value: Any) -> None:
        """Writes a value as one line of JSON."""
        self.write(_json.dumps(value, "row") + "\n")

    def finish(self) -> Record:
        """Makes the artifact, and gives the reference to hand it on by."""
        self._hand_on()
        return _json.loads(_host.call(self._store.Writer.finish, self._host, error=error))

    def _hand_on(self) -> None:
        if self._gathered:
            _host.call(self._host.write, bytes(self._gathered), error=error)
            self._gathered.clear()


class Reader(io.RawIOBase):
    """An artifact that is being read: a binary file. ``with`` closes it."""

    def __init__(self, which: str | Mapping[str, Any]) -> None:
        super().__init__()
        self._store = _host.need(_host.store, "artifacts")
        name, step, item = (which, None, None) if isinstance(which, str) else source(which)
        address = _host.artifact_types.Address(name=name, step=step, item=item)
        self._host = _host.call(self._store.open, address, error=error)
        self._at = 0

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self._host.size()

    @property
    def artifact(self) -> Record:
        """The reference to it."""
        return _json.loads(self._host.reference())

    def rows(self) -> Iterator[Any]:
        """Its lines of JSON, each as a value. Empty lines are passed over."""
        for number, line in enumerate(io.BufferedReader(self, _GATHERED), 1):
            if line := line.strip():
                try:
                    yield _json.loads(line.decode())
                except ValueError as why:
                    raise Invalid(f"line {number}: {why}") from None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = _host.call(self._host.read, min(len(buffer), _GATHERED), error=error) if len(buffer) else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = max(0, start + offset)
        self._host.seek(self._at)
        return self._at

    def close(self) -> None:
        if not self.closed:
            self._host.__exit__(None, None, None)
        super().close()


class Artifacts:
    """``context.artifacts``."""

    def create(self, name: str) -> Writer:
        """Begins an artifact. The name is of letters, digits and ``_-.``, and new in this attempt."""
        return Writer(name)

    def open(self, which: str | Mapping[str, Any]) -> Reader:
        """Opens an artifact: by its reference, or one of this step, else of the only step before it, by its name."""
        return Reader(which)


def source(reference: Mapping[str, Any]) -> tuple[str, str | None, int | None]:
    """What a reference says of where its artifact is."""
    if not isinstance(reference, Mapping) or not isinstance(reference.get("artifact"), str):
        raise Invalid("a reference to an artifact is what `finish` gave: {'artifact': ..., 'step': ...}")
    return reference["artifact"], reference.get("step"), reference.get("item")


def error(case: str, value: Any) -> Exception:
    """Why there is no artifact, or none of it."""
    match case:
        case "AccessDenied":
            return AccessDenied(f"access denied: {value}")
        case "Unknown":
            return Unknown(value)
        case "Limit":
            return Limit(value)
        case "Invalid":
            return Invalid(value)
        case "RefusedByPolicy":
            return RefusedByPolicy(value, "the request")
        case "Rejected":
            return Rejected(f"the request was not approved: {value}")
        case "Upstream" | "Unavailable":
            return Unavailable(value)
    return WfloError(value)
