"""The event loop of a step.

What it waits for are pollables of the host and timers. Which of those that are ready comes first is the host's choice,
which journals it: a step that is played again takes the same way.
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
    """An event loop of pollables. It is its own selector: there are no files or sockets to select."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._waiting: list[tuple[Any, asyncio.Future[None]]] = []

    def ready(self, pollable: Any) -> asyncio.Future[None]:
        """A future that is done when the pollable is ready."""
        future = self.create_future()
        self._waiting.append((pollable, future))
        return future

    def select(self, timeout: float | None) -> list[asyncio.Future[None]]:
        """Waits until something is ready, for at most so many seconds."""
        self._waiting = [(pollable, future) for pollable, future in self._waiting if not future.done()]
        pollables = [pollable for pollable, _ in self._waiting]
        if timeout is not None and timeout <= 0:
            if not pollables:
                return []
            timeout = 0
        elif timeout is None and not pollables:
            raise RuntimeError("the step waits for something that never comes")
        timer = None
        if timeout is not None:
            timer = _host.clock.subscribe_duration(round(min(timeout, _LONGEST) * 1e9))
            pollables.append(timer)
        found = set(_host.poll.poll(pollables))
        done = [future for index, (_, future) in enumerate(self._waiting) if index in found]
        for index, (pollable, _) in enumerate(self._waiting):
            if index in found:
                pollable.__exit__(None, None, None)
        self._waiting = [waiting for index, waiting in enumerate(self._waiting) if index not in found]
        if timer is not None:
            timer.__exit__(None, None, None)
        return done

    def _process_events(self, event_list: list[asyncio.Future[None]]) -> None:
        for future in event_list:
            if not future.done():
                future.set_result(None)

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
