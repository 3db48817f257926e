"""JSON as wflo has it: what Python has beyond JSON travels as text."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import re
import uuid
from typing import Any

from wflo.errors import Invalid
from wflo.record import Record

#: Integers of 64 bits, with a sign or without: wflo keeps every digit of them as numbers.
_LEAST, _MOST = -(2**63), 2**64 - 1
_HALVES = re.compile("[\ud800-\udfff]")


def dumps(value: Any, what: str = "value") -> str:
    """Writes JSON.

    Decimals, times, UUIDs and integers beyond 64 bits are text, bytes are a list of numbers, dataclasses are objects, enums
    what they stand for.
    """
    try:
        text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return unicode(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"the {what} is no JSON: {error}") from None


def unicode(text: str) -> str:
    """A text that is UTF-8 on its way to the host; raises :class:`ValueError` for half of a surrogate pair."""
    if not text.isascii() and (half := _HALVES.search(text)):
        raise ValueError(f"half of a surrogate pair, {half.group()!a}, is no character")
    return text


def legible(text: str) -> str:
    """A text with U+FFFD in the place of what is no character."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def loads(text: str) -> Any:
    """Reads JSON; objects are records."""
    return json.loads(text, object_hook=Record)


def plain(value: Any) -> Any:
    """A value as what :mod:`json` writes."""
    made = _plain(value)
    json.dumps(made, allow_nan=False)
    return made


def _plain(value: Any) -> Any:
    match value:
        # Before text and numbers, which its members may be as well.
        case enum.Enum():
            return _plain(value.value)
        case None | bool():
            return value
        case str():
            return str.__str__(value)
        case int():
            return int(value) if _LEAST <= value <= _MOST else str(int(value))
        case float():
            return value
        case dict():
            return {_key(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case decimal.Decimal():
            return format(value, "f")
        case datetime.datetime():
            return timestamp(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return list(value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if not isinstance(key, str):
        raise TypeError(f"the key of an object is text, not {key!r}")
    return key


def timestamp(time: datetime.datetime) -> str:
    """An instant as RFC 3339 text."""
    if time.utcoffset() is None:
        raise Invalid(f"the time {time.isoformat()} has no time zone: an instant needs one, such as `datetime.UTC`")
    return time.isoformat().replace("+00:00", "Z")
