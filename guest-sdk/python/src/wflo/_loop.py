"""The event loop of a step.

The host answers before a call returns, so all that is ever waited for is time; which passes as the host says, and which is
the same when a step is played again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from wflo import _host

T = TypeVar("T")

#: Waits that are longer than this are this long, one after the other.
_LONGEST = 24 * 3600.0


class Loop(asyncio.BaseEventLoop):
    """An event loop of timers. It is its own selector: there are no files or sockets to select."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self

    def select(self, timeout: float | None) -> list[Any]:
        """Waits for so many seconds."""
        if timeout is None:
            raise RuntimeError("the step waits for something that never comes")
        if timeout > 0:
            with _host.clock.subscribe_duration(round(min(timeout, _LONGEST) * 1e9)) as timer:
                timer.block()
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """Time is not an event."""

    def _write_to_self(self) -> None:
        """There is no other thread that could wake it."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end."""
    loop = Loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
