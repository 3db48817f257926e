"""Values of databases, exact: as ``wflo:db/sql-json`` has them, and as Python does."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import uuid
from typing import Any

from wflo import _json
from wflo.errors import Invalid
from wflo.record import Record


def encode(value: Any) -> Any:
    """A parameter of a statement, as the host takes it."""
    match value:
        # Before text and numbers, which its members may be as well.
        case enum.Enum():
            return encode(value.value)
        case None | bool():
            return value
        case str():
            return str.__str__(value)
        case int():
            return {"integer": str(int(value))} if -(2**63) <= value < 2**63 else {"decimal": str(int(value))}
        case float():
            if math.isnan(value):
                return {"real": "NaN"}
            return {"real": ("inf" if value > 0 else "-inf") if math.isinf(value) else repr(value)}
        case decimal.Decimal():
            if not value.is_finite():
                raise Invalid(f"the decimal {value} is no number that a database has")
            return {"decimal": format(value, "f")}
        case bytes() | bytearray() | memoryview():
            return {"blob": bytes(value).hex()}
        case datetime.datetime():
            return {"timestamp": _json.timestamp(value)}
        case datetime.date() | datetime.time():
            return value.isoformat()
        case uuid.UUID():
            return {"uuid": str(value)}
        case _:
            return {"json": _json.dumps(value, "parameter")}


def named(value: Any) -> Any:
    """A parameter of a named statement: its JSON, which says its type only where JSON cannot hold it."""
    match value:
        case enum.Enum():
            return named(value.value)
        case int() if not isinstance(value, bool) and abs(value) > 2**53:
            return {"integer": str(int(value))}
        case bytes() | bytearray() | memoryview():
            return {"blob": bytes(value).hex()}
    return value


def decode(value: Any) -> Any:
    """A value of a row, as Python has it."""
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    match kind:
        case "integer":
            return int(text)
        case "real":
            return float(text)
        case "decimal":
            return decimal.Decimal(text)
        case "blob":
            return bytes.fromhex(text)
        case "timestamp":
            return datetime.datetime.fromisoformat(text)
        case "json":
            return _json.loads(text)
        case "uuid":
            return uuid.UUID(text)
    raise Invalid(f"a value of a database of a kind that this SDK does not know: {kind}")


def rows(text: str) -> list[Record]:
    """Rows, each with its columns by name."""
    answer = json.loads(text)
    columns = answer["columns"]
    return [Record(zip(columns, map(decode, row), strict=True)) for row in answer["rows"]]
