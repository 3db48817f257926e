"""What needs no host: values, JSON, schemas, errors, steps, the event loop."""

import asyncio
import datetime
import json
import logging
import math
import types
import unittest
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from unittest import mock
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from wflo import BadOutput, Context, Invalid, Record, WfloError, _host, _json, _loop, _value, log, permanent, redo, retryable, schema, step
from wflo.errors import HttpStatus, described
from wflo.step import STEPS


class Kind(Enum):
    ONE = "one"
    TWO = "two"


class Verdict(str, Enum):
    BLOCK = "block"


class Colour(StrEnum):
    RED = "red"


class Level(int, Enum):
    HIGH = 2**60


class Rank(IntEnum):
    ONE = 1


@dataclass
class Finding:
    account: Annotated[str, "the account's id"]
    kind: Kind
    score: float | None
    tags: list[str] = field(default_factory=list)


class Row(TypedDict):
    id: int
    note: NotRequired[str]


@dataclass
class Limits:
    limit: int
    since: datetime.date
    kinds: list[Kind]
    nested: Row
    mode: Literal["all", "none"] = "all"


class Values(unittest.TestCase):
    def test_values_of_a_database_keep_every_digit(self) -> None:
        at = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.UTC)
        values = [None, True, "", "ü", 0, -(2**63), 2**53 + 1, 1.5, 1e300, Decimal("12.50"), b"\x00\xff", at, uuid.UUID(int=7), [1, {"a": None}]]
        for value in values:
            back = _value.decode(_value.encode(value))
            self.assertEqual(back, value)
            self.assertIs(type(back), type(value))
        self.assertEqual(_value.encode(2**64), {"decimal": "18446744073709551616"})
        self.assertEqual(_value.encode(math.inf), {"real": "inf"})
        self.assertTrue(math.isnan(_value.decode(_value.encode(math.nan))))
        self.assertEqual(_value.encode(Kind.TWO), "two")
        for member, encoded in ((Verdict.BLOCK, "block"), (Colour.RED, "red"), (Level.HIGH, {"integer": str(2**60)}), (Rank.ONE, {"integer": "1"})):
            self.assertEqual(_value.encode(member), encoded)
            self.assertIn(type(_value.encode(member)), (str, dict))
        self.assertRaises(Invalid, _value.encode, datetime.datetime(2026, 1, 2))
        self.assertRaises(Invalid, _value.encode, Decimal("NaN"))

    def test_parameters_by_name_say_their_type_where_json_has_none(self) -> None:
        for value, named in (
            (7, 7), (2**60, {"integer": str(2**60)}), (True, True), (b"\x00\xff", {"blob": "00ff"}), (bytearray(b"\x01"), {"blob": "01"}),
            (Verdict.BLOCK, "block"), (Level.HIGH, {"integer": str(2**60)}), (Decimal("1.10"), "1.10"), (None, None),
        ):
            self.assertEqual(json.loads(_json.dumps(_value.named(value))), named)

    def test_rows_have_their_columns_by_name(self) -> None:
        (row,) = _value.rows('{"columns":["id","t"],"rows":[[{"integer":"7"},"ü"]]}')
        self.assertEqual((row.id, row["t"], dict(row)), (7, "ü", {"id": 7, "t": "ü"}))
        with self.assertRaisesRegex(AttributeError, "there is no `x`, only 'id', 't'"):
            row.x  # noqa: B018


class Json(unittest.TestCase):
    def test_what_json_does_not_have_is_text(self) -> None:
        value = {"big": 2**64, "money": Decimal("1.10"), "bytes": b"\x01", "f": Finding("A", Kind.ONE, None), "t": (1,)}
        text = '{"big":"18446744073709551616","money":"1.10","bytes":[1],"f":{"account":"A","kind":"one","score":null,"tags":[]},"t":[1]}'
        self.assertEqual(_json.dumps(value), text)
        self.assertIsInstance(_json.loads(text)["f"], Record)
        exact = [2**53, 2**60, -(2**63), 2**64 - 1]
        self.assertEqual(_json.dumps(exact), "[9007199254740992,1152921504606846976,-9223372036854775808,18446744073709551615]")
        self.assertEqual(_json.dumps([-(2**63) - 1]), '["-9223372036854775809"]')
        for bad in (object(), math.nan, {1: 2}):
            self.assertRaises(Invalid, _json.dumps, bad)


    def test_members_of_an_enum_are_their_values(self) -> None:
        value = [Verdict.BLOCK, Colour.RED, Level.HIGH, Rank.ONE, {Verdict.BLOCK: Colour.RED}, Finding("A", Verdict.BLOCK, None)]
        text = '["block","red",1152921504606846976,1,{"block":"red"},{"account":"A","kind":"block","score":null,"tags":[]}]'
        self.assertEqual(_json.dumps(value), text)

    def test_half_of_a_surrogate_pair_is_no_text(self) -> None:
        for bad in ("ü\ud800", {"\udfff": 1}, ["\ud83d", "\udc4d"]):
            with self.assertRaisesRegex(Invalid, "the output is no JSON: half of a surrogate pair, '.ud[0-9a-f]{3}', is no character"):
                _json.dumps(bad, "output")
        self.assertEqual(_json.dumps("\U0001f44d"), '"\U0001f44d"')
        self.assertEqual(_json.legible("a\ud800b\U0001f44d"), "a\ufffdb\U0001f44d")

        @dataclass
        class Request:
            prompt: str
            stop: list[str]

        for args in (("\ud800",), (["a", "\ud800"],), (Request("a", ["\ud800"]),)):
            with self.assertRaisesRegex(Invalid, "half of a surrogate pair"):
                _host.call(lambda *_: "reached", *args, error=lambda case, value: WfloError(value))
        self.assertEqual(_host.call(lambda *_: "reached", "ü", 1, Request("", []), error=lambda case, value: WfloError(value)), "reached")


class Broken:
    def __repr__(self) -> str:
        raise ValueError("no")

    __str__ = __repr__


class Logging(unittest.TestCase):
    def setUp(self) -> None:
        self.lines: list[tuple[str, Any]] = []
        host = types.SimpleNamespace(
            Level={name: name.lower() for name in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")},
            log=lambda level, context, text: self.lines.append((level, json.loads(text.encode()))),
        )
        patch = mock.patch.object(_host, "logging", host)
        patch.start()
        self.addCleanup(patch.stop)
        self.logger = log.Logger()

    def test_a_field_that_is_no_json_takes_no_other_with_it(self) -> None:
        self.logger.error("failed", error=ValueError("bad"), order="o-1", count=3, thing=object, nan=math.nan, verdict=Verdict.BLOCK, half="\ud800", broken=Broken())
        ((level, line),) = self.lines
        self.assertEqual(level, "error")
        self.assertTrue(line.pop("broken").startswith("a Broken, which is no JSON"))
        self.assertEqual(
            line,
            {"message": "failed", "error": "ValueError: bad", "order": "o-1", "count": 3, "thing": "<class 'object'>", "nan": "nan", "verdict": "block", "half": "\ufffd"},
        )

    def test_it_is_called_as_those_of_logging(self) -> None:
        self.logger.info("a %s, %d", "b", 7, count=1)
        self.logger.warn("%(a)s", {"a": 1})
        self.logger.warning("100 %")
        self.logger.critical("%d", "x")
        self.logger.log(logging.DEBUG, "\ud800")
        self.logger.fatal(Broken(), message="m", stacklevel=2, extra={"a": 1})
        said = [(level, line.pop("message"), line) for level, line in self.lines]
        self.assertEqual(
            said[:5],
            [("info", "a b, 7", {"count": 1}), ("warn", "1", {}), ("warn", "100 %", {}), ("error", "%d ('x',)", {}), ("debug", "\ufffd", {})],
        )
        self.assertEqual((said[5][0], said[5][2]), ("error", {"message_": "m", "a": 1}))

    def test_exceptions_are_told_with_where_they_were_raised(self) -> None:
        try:
            int("x")
        except ValueError as error:
            self.logger.exception("no number", order=7)
            self.logger.info("again", exc_info=error)
        self.logger.error("none", exc_info=True)
        exceptions = [line.get("exception", "") for _, line in self.lines]
        self.assertIn("in test_exceptions_are_told", exceptions[0])
        self.assertEqual((exceptions[0], exceptions[2]), (exceptions[1], ""))
        self.assertEqual(self.lines[0][1]["order"], 7)

    def test_loggers_of_logging_fail_nothing(self) -> None:
        record = logging.makeLogRecord({"msg": "%d", "args": ("x",), "levelno": logging.WARNING, "order": object, "name": "root"})
        log.Handler().emit(record)
        self.assertEqual(self.lines, [("warn", {"message": "%d ('x',)", "order": "<class 'object'>"})])


class Schemas(unittest.TestCase):
    def test_a_type_has_a_schema(self) -> None:
        expected = {
            "type": "object",
            "properties": {
                "account": {"description": "the account's id", "type": "string"},
                "kind": {"type": "string", "enum": ["one", "two"]},
                "score": {"type": ["number", "null"]},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["account", "kind", "score"],
            "additionalProperties": False,
        }
        self.assertEqual(schema.of(Finding), expected)
        self.assertEqual(schema.of(list[Row])["items"]["required"], ["id"])
        self.assertEqual(schema.of(Literal["a", "b"]), {"type": "string", "enum": ["a", "b"]})
        self.assertEqual(schema.of(dict[str, int]), {"type": "object", "additionalProperties": {"type": "integer"}})
        self.assertEqual(schema.of(int | str), {"anyOf": [{"type": "integer"}, {"type": "string"}]})
        self.assertIsNone(schema.of(Any))

    def test_an_answer_is_read_as_its_type(self) -> None:
        answer = _json.loads('[{"account":"A","kind":"two","score":1}]')
        self.assertEqual(schema.read(list[Finding], answer), [Finding("A", Kind.TWO, 1.0)])
        self.assertEqual(schema.read(dict[str, Decimal], {"a": "1.10"}), {"a": Decimal("1.10")})
        self.assertEqual(schema.read(int | str, "7"), "7")
        self.assertEqual(schema.read(float, 0.5), 0.5)
        self.assertEqual(schema.read(int, 7.0), 7)
        self.assertEqual(schema.read(tuple[int, str], [1, "a"]), (1, "a"))
        for kind, value, says in (
            (Finding, {}, "the answer.account: expected str, got nothing"),
            (Finding, {"account": 1, "kind": "one", "score": None}, "the answer.account: expected str, got 1"),
            (Finding | None, {"account": "A", "kind": "three", "score": None}, "the answer.kind: expected one of 'one', 'two', got 'three'"),
            (int, True, "the answer: expected int, got True"),
            (list[int], ["x"], "the answer[0]: expected int, got 'x'"),
            (Literal[1, "a"], True, "the answer: expected one of 1, 'a', got True"),
            (int | None, "x", "the answer: expected int, got 'x'"),
            (int | list[str], {}, "the answer: expected int or list[str], got {}"),
            (dict[str, Row], {"a": {"id": 1, "note": 2}}, "the answer.a.note: expected str, got 2"),
            (tuple[int, str], [1], "the answer: expected tuple[int, str], got [1]"),
        ):
            with self.assertRaises(BadOutput) as raised:
                schema.read(kind, value)
            self.assertEqual(str(raised.exception), says)


class Errors(unittest.TestCase):
    def test_an_error_says_what_another_attempt_could_do(self) -> None:
        self.assertEqual(described(permanent("no")), ("permanent", "no"))
        self.assertEqual(described(retryable("later")), ("retryable", "later"))
        self.assertEqual(described(redo("again")), ("redo", "again"))
        self.assertEqual(described(HttpStatus(503, ""))[0], "retryable")
        self.assertEqual(described(HttpStatus(404, "x")), ("permanent", "the server answered 404: x"))
        group = ExceptionGroup("two failed", [ValueError("one"), ExceptionGroup("in", [retryable("later")])])
        self.assertEqual(described(group), ("permanent", "ExceptionGroup: two failed: ValueError: one; ExceptionGroup: in: later"))
        self.assertEqual(described(ExceptionGroup("g", [retryable("a"), redo("b")]))[0], "redo")
        self.assertEqual(described(ExceptionGroup("g", [retryable("a")]))[0], "retryable")
        try:
            try:
                int("x")
            except ValueError as error:
                raise WfloError("no number") from error
        except WfloError as error:
            self.assertTrue(described(error)[1].startswith("no number: ValueError: invalid literal"))


class Steps(unittest.TestCase):
    def test_a_step_says_what_it_is(self) -> None:
        @step
        async def look(context: Any) -> Row:
            """Looks at it.

            More.
            """
            return {"id": 1}

        @look.compensation
        async def unlook(context: Any, undo: Any) -> None:
            pass

        self.assertIs(STEPS["look"], look)
        self.assertEqual((look.summary, look.undo), ("Looks at it", unlook))
        self.assertEqual(look.output_schema["required"], ["id"])
        self.assertEqual(_loop.run(look(None)), {"id": 1})
        with self.assertRaisesRegex(ValueError, "two steps"):
            step(name="look")(unlook)
        with self.assertRaisesRegex(ValueError, "a step's name"):
            step(name="-x")(unlook)

    def test_a_step_says_what_its_inputs_are(self) -> None:
        @step
        async def limited(context: Context[Limits]) -> int:
            return context.inputs.limit

        @limited.compensation
        async def unlimited(context: Context[Row], undo: Any) -> None:
            pass

        @step
        async def anything(context: Context) -> Any:
            return context.inputs.a

        self.assertEqual((limited.inputs, limited.undo_inputs, anything.inputs), (Limits, Row, None))
        given = '{"limit":7,"since":"2026-01-02","kinds":["one"],"nested":{"id":1},"a":{"b":1}}'
        with mock.patch.object(_host, "context", types.SimpleNamespace(inputs=lambda: given)):
            limits = Context(Limits).inputs
            self.assertEqual(limits, Limits(7, datetime.date(2026, 1, 2), [Kind.ONE], {"id": 1}))
            self.assertEqual(Context().inputs.a.b, 1)
            with self.assertRaises(Invalid) as raised:
                Context(Row).inputs
            self.assertEqual(str(raised.exception), "inputs.id: expected int, got nothing")
        for wrong in ("1.5", '"7"', "null"):
            with mock.patch.object(_host, "context", types.SimpleNamespace(inputs=lambda: given.replace("7", wrong))):
                with self.assertRaisesRegex(Invalid, r"^inputs\.limit: expected int, got "):
                    Context(Limits).inputs
        with self.assertRaisesRegex(TypeError, "a dataclass or a typed dictionary"):

            @step
            async def wrong_inputs(context: Context[int]) -> None:
                pass

    def test_coroutines_run_on_the_loop_of_steps(self) -> None:
        async def one(n: int) -> int:
            await asyncio.sleep(0)
            return n

        async def all_() -> list[int]:
            return await asyncio.gather(one(1), one(2))

        async def never() -> None:
            await asyncio.get_running_loop().create_future()

        self.assertEqual(_loop.run(all_()), [1, 2])
        with self.assertRaisesRegex(RuntimeError, "never comes"):
            _loop.run(never())


if __name__ == "__main__":
    unittest.main()
