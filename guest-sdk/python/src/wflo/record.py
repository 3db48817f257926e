"""Objects of JSON and rows of databases."""

from __future__ import annotations

from typing import Any


class Record(dict[str, Any]):
    """A dictionary whose entries are attributes as well: ``row["id"]`` and ``row.id``."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no `{name}`, only {', '.join(map(repr, self)) or 'nothing'}") from None
