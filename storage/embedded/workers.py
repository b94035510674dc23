"""Bounded groups of threads, so that searches, inserts and kills cannot starve each other."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")


class Busy(Exception):
    """All threads of the group work and its queue is full."""


class Workers:
    """A number of threads and a number of places to wait for one."""

    def __init__(self, name: str, threads: int, waiting_max: int) -> None:
        self.name, self._places = name, threads + waiting_max
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"clickhouse-{name}")
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """Statements that run or wait."""
        return self._taken

    def submit(self, work: Callable[[], Answer]) -> Future[Answer]:
        """Run it on a thread of the group; raises Busy when there is no place.

        The future is done when the thread is: asyncio's would call itself cancelled while the thread goes on.
        """
        with self._lock:
            if self._taken >= self._places:
                raise Busy(f"{self._taken} {self.name} statements run or wait already")
            self._taken += 1
        future = self._executor.submit(work)
        future.add_done_callback(self._leave)
        return future

    def close(self) -> None:
        """Take no more work, and return when all that runs has ended."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _leave(self, _: Future[Answer]) -> None:
        with self._lock:
            self._taken -= 1
