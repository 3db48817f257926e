"""Logging: a message with fields, which wflo keeps with the step."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from wflo import _host, _json
from wflo.errors import described


def line(level: str, message: str, fields: Mapping[str, Any], context: str = "") -> None:
    """Logs one line. It fails nothing: a field that has no JSON form is there as Python shows it, an exception as its text."""
    entry: dict[str, Any] = {"message": message}
    for name, value in fields.items():
        # A field of that name must not take the place of the message.
        entry["message_" if name == "message" else str(name)] = _field(value)
    text = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    text, context = _json.legible(text), _json.legible(context)
    if _host.logging is None:
        print(text, file=sys.stderr)
    else:
        _host.logging.log(_host.logging.Level[level.upper()], context, text)


def _field(value: Any) -> Any:
    """A field as plain JSON."""
    try:
        if isinstance(value, BaseException):
            return described(value)[1]
        return _json.plain(value)
    except Exception as error:
        return _shown(value, error)


def _shown(value: Any, error: Exception) -> str:
    try:
        return repr(value)
    except Exception:
        return f"a {type(value).__name__}, which is no JSON: {error}"


def _formatted(message: Any, args: Any) -> str:
    """The message with its arguments, as :mod:`logging` has them; where they do not fit, they stand behind it."""
    try:
        text = str(message)
    except Exception as error:
        return _shown(message, error)
    if not args:
        return text
    try:
        is_named = isinstance(args, tuple) and len(args) == 1 and isinstance(args[0], Mapping)
        return text % (args[0] if is_named else args)
    except Exception as error:
        return f"{text} {_shown(args, error)}"


class Logger:
    """``context.logger.info("blocked", count=3)``, and as :mod:`logging` is called: ``warning("%s is late", name)``.

    Fields are by name; ``exc_info``, ``stack_info`` and ``extra`` mean what they mean there. The loggers of :mod:`logging` end
    here as well.
    """

    def trace(self, message: object, /, *args: Any, **fields: Any) -> None:
        """Logs what only who looks for an error wants to see."""
        _log("trace", message, args, fields)

    def debug(self, message: object, /, *args: Any, **fields: Any) -> None:
        """Logs what helps to find an error."""
        _log("debug", message, args, fields)

    def info(self, message: object, /, *args: Any, **fields: Any) -> None:
        """Logs what has happened."""
        _log("info", message, args, fields)

    def warning(self, message: object, /, *args: Any, **fields: Any) -> None:
        """Logs what may be wrong."""
        _log("warn", message, args, fields)

    def error(self, message: object, /, *args: Any, **fields: Any) -> None:
        """Logs what is wrong."""
        _log("error", message, args, fields)

    def exception(self, message: object, /, *args: Any, **fields: Any) -> None:
        """Logs what is wrong, with the exception that is being handled."""
        _log("error", message, args, {"exc_info": True} | fields)

    def log(self, level: int, message: object, /, *args: Any, **fields: Any) -> None:
        """Logs at a level of :mod:`logging`."""
        _log(_level(level), message, args, fields)

    warn = warning
    critical = error
    fatal = error


def _log(level: str, message: object, args: tuple[Any, ...], fields: dict[str, Any]) -> None:
    fields.pop("stacklevel", None)
    raised, stack = fields.pop("exc_info", None), fields.pop("stack_info", False)
    if isinstance(extra := fields.get("extra"), Mapping):
        del fields["extra"]
        fields = {**extra, **fields}
    if text := _traceback(raised):
        fields["exception"] = text
    if stack:
        fields["stack"] = "".join(traceback.format_stack())
    line(level, _formatted(message, args), fields)


def _traceback(raised: Any) -> str:
    """The text of what ``exc_info`` names: an exception, a triple of :func:`sys.exc_info`, or truth for the one at hand."""
    if not raised:
        return ""
    if isinstance(raised, BaseException):
        return "".join(traceback.format_exception(raised))
    triple = raised if isinstance(raised, tuple) else sys.exc_info()
    return "".join(traceback.format_exception(*triple)) if triple[0] is not None else ""


#: What every record of :mod:`logging` has; anything else was given as ``extra``.
_USUAL = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Handler(logging.Handler):
    """Hands records of :mod:`logging` to wflo, what was given as ``extra`` as their fields."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = {name: value for name, value in vars(record).items() if name not in _USUAL}
        if text := _traceback(record.exc_info):
            fields["exception"] = text
        message = _formatted(record.msg, record.args)
        line(_level(record.levelno), message, fields, record.name if record.name != "root" else "")


def _level(number: int) -> str:
    for least, level in ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"), (logging.DEBUG, "debug")):
        if number >= least:
            return level
    return "trace"


def install() -> None:
    """Has every logger end at wflo, from ``INFO`` up."""
    logging.basicConfig(handlers=[Handler()], level=logging.INFO, force=True)
