"""Logging: a message with fields, which wflo keeps with the step."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import Any

from wflo import _host, _json


def line(level: str, message: str, fields: dict[str, Any], context: str = "") -> None:
    """Logs one line. A field that has no JSON form says why, and fails nothing."""
    entry: dict[str, Any] = {"message": message}
    for name, value in fields.items():
        # A field of that name must not take the place of the message.
        entry["message_" if name == "message" else name] = value
    try:
        text = _json.dumps(entry)
    except Exception as error:
        text = json.dumps({"message": message, "error": str(error)})
    if _host.logging is None:
        print(text, file=sys.stderr)
    else:
        _host.logging.log(_host.logging.Level[level.upper()], context, text)


class Logger:
    """``context.logger.info("blocked", count=3)``. The loggers of :mod:`logging` end here as well."""

    def trace(self, message: str, **fields: Any) -> None:
        line("trace", message, fields)

    def debug(self, message: str, **fields: Any) -> None:
        line("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        line("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        line("warn", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        line("error", message, fields)


#: What every record of :mod:`logging` has; anything else was given as ``extra``.
_USUAL = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Handler(logging.Handler):
    """Hands records of :mod:`logging` to wflo, what was given as ``extra`` as their fields."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = {name: value for name, value in vars(record).items() if name not in _USUAL}
        if record.exc_info:
            fields["exception"] = "".join(traceback.format_exception(*record.exc_info))
        line(_level(record.levelno), record.getMessage(), fields, record.name if record.name != "root" else "")


def _level(number: int) -> str:
    for least, level in ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"), (logging.DEBUG, "debug")):
        if number >= least:
            return level
    return "trace"


def install() -> None:
    """Has every logger end at wflo, from ``INFO`` up."""
    logging.basicConfig(handlers=[Handler()], level=logging.INFO, force=True)
