"""A bound on searches at once: the rest wait in turn, a bounded number of them for a bounded time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import Overloaded


class Admission:
    """`slots` at once, `waiting_max` behind them for at most `wait_s`. Used from one event loop."""

    def __init__(self, slots: int, waiting_max: int, wait_s: float) -> None:
        self._slots, self._waiting_max, self._wait_s = slots, waiting_max, wait_s
        self._semaphore = asyncio.Semaphore(slots)
        self.running = self.waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot. Raises Overloaded when too many wait already, or when the wait was too long."""
        await self._enter()
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._semaphore.release()

    async def _enter(self) -> None:
        if self._semaphore.locked() and self.waiting >= self._waiting_max:
            raise Overloaded(
                f"{self.running} searches run and {self.waiting} wait", bound="search_queue_full"
            )
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._semaphore.acquire()
        except TimeoutError:
            raise Overloaded(
                f"{self.running} searches run, and no turn came within {self._wait_s:g} s",
                bound="search_queue_slow",
            ) from None
        finally:
            self.waiting -= 1
