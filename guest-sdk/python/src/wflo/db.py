"""SQL databases, by the labels that ``workflow.toml`` grants."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal

from wflo import _host, _json, _value, artifact
from wflo.errors import AccessDenied, Constraint, Invalid, Limit, RefusedByPolicy, Rejected, Unavailable, WfloError
from wflo.record import Record


class Database:
    """A database. Writes of a step are one transaction, which commits when the step has succeeded."""

    def __init__(self, label: str, statements: Mapping[str, list[str]]) -> None:
        self._label = label
        self._statements = statements

    async def query(self, statement: str, *params: Any) -> list[Record]:
        """Reads rows. Parameters are bound in their order (``?1`` or ``?`` on SQLite), never pasted in."""
        sql = _host.need(_host.sql, "a database")
        return _value.rows(_host.call(sql.query, self._label, statement, _encoded(params), error=_error))

    async def pages(self, statement: str, *params: Any, most: int = 10_000) -> AsyncIterator[list[Record]]:
        """Reads a result that may be larger than memory, at most ``most`` rows at a time.

        All parts are of one snapshot: that of the first, which is begun before the step's first write to this database.
        """
        sql, values, from_ = _host.need(_host.sql, "a database"), _encoded(params), 0
        while page := _value.rows(_host.call(sql.page, self._label, statement, values, from_, most, error=_error)):
            yield page
            from_ += len(page)

    async def first(self, statement: str, *params: Any) -> Record | None:
        """Reads the first row, if there is one."""
        rows = await self.query(statement, *params)
        return rows[0] if rows else None

    async def execute(self, statement: str, *params: Any) -> int:
        """Writes, and gives the number of rows changed."""
        sql = _host.need(_host.sql, "a database")
        return _host.call(sql.execute, self._label, statement, _encoded(params), error=_error)

    async def call(self, statement: str, /, **params: Any) -> list[Record]:
        """Calls a statement that the workflow names, with its parameters by name.

        One that writes gives one row: the number of rows it ``changed``. A policy may have people asked first; the step
        then waits for them.
        """
        sql = _host.need(_host.sql, "a database")
        text = _json.dumps({name: _value.named(value) for name, value in params.items()}, "parameters")
        return _value.rows(_host.call(sql.call, self._label, statement, text, error=_error))

    async def bulk_insert(
        self,
        table: str,
        rows: Mapping[str, Any],
        *,
        columns: Iterable[str] = (),
        format: Literal["json_lines", "csv"] = "json_lines",
    ) -> int:
        """Inserts the rows of an artifact, by its reference: all of them or none; gives their number.

        They go from the artifact to the database and not through the step. ``columns`` are those that get values; without
        any, those of the first row.
        """
        sql = _host.need(_host.sql_typed, "a database")
        name, step, item = artifact.source(rows)
        source = sql.RowSource(name=name, step=step, item=item, format=sql.RowFormat[format.upper()])
        return _host.call(sql.bulk_insert, self._label, table, list(columns), source, error=_error)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        """A named statement as a method: its parameters in their order or by name; one value is given as it is."""
        if name.startswith("_") or name not in self._statements:
            raise AttributeError(f"database `{self._label}` has no statement `{name}`: `[db.{self._label}.statement.{name}]` makes one")
        names = self._statements[name]

        async def statement(*args: Any, **params: Any) -> Any:
            if len(args) > len(names):
                raise Invalid(f"statement `{name}` has {len(names)} parameters, not {len(args)}")
            rows = await self.call(name, **dict(zip(names, args, strict=False)), **params)
            if len(rows) == 1 and len(rows[0]) == 1:
                return next(iter(rows[0].values()))
            return rows

        return statement


class Databases(Database):
    """The databases of a step: ``context.db("bank")``, or ``context.db`` itself where there is only one."""

    def __init__(self, step: str, labels: list[str], statements: Mapping[str, Mapping[str, list[str]]]) -> None:
        self._step = step
        self._labels = labels
        self._all = statements

    def __call__(self, label: str) -> Database:
        """Names a database."""
        return Database(label, self._all.get(label, {}))

    @property
    def _label(self) -> str:  # type: ignore[override]
        if len(self._labels) == 1:
            return self._labels[0]
        if not self._labels:
            raise AccessDenied(f"access denied: step `{self._step}` is granted no database")
        raise Invalid(f"step `{self._step}` is granted {', '.join(self._labels)}: name one, such as `context.db({self._labels[0]!r})`")

    @property
    def _statements(self) -> Mapping[str, list[str]]:  # type: ignore[override]
        return self._all.get(self._label, {})


def _encoded(params: tuple[Any, ...]) -> str:
    return json.dumps([_value.encode(value) for value in params], ensure_ascii=False)


def _error(case: str, value: Any) -> Exception:
    match case:
        case "AccessDenied":
            return AccessDenied(f"access to the database denied: {value}")
        case "Invalid":
            return Invalid(f"invalid statement: {value}")
        case "Constraint":
            return Constraint(f"a constraint refused the statement: {value}")
        case "Limit":
            return Limit(f"the statement went over a limit: {value}")
        case "RefusedByPolicy":
            return RefusedByPolicy(value, "the statement")
        case "Rejected":
            return Rejected(f"the statement was not approved: {value}")
        case "Unavailable":
            return Unavailable(f"the database is unavailable: {value}")
    return WfloError(f"the statement failed: {value}")
