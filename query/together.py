"""Statements of one search that run at the same time, and end together."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from core.errors import SearchTimeout

First = TypeVar("First")
Second = TypeVar("Second")


async def gathered(
    first: Coroutine[Any, Any, First], second: Coroutine[Any, Any, Second]
) -> tuple[First, Second]:
    """Both results; when one fails the other is cancelled, and the failure raised."""
    one, other = asyncio.ensure_future(first), asyncio.ensure_future(second)
    await _ended({one, other})
    return one.result(), other.result()


async def all_done(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all parts to their ends; when one fails the others are cancelled, and the failure raised.

    A part that runs out of time ends no other: the time of all is the same, and what they find until then is
    part of the answer.
    """
    await _ended({asyncio.ensure_future(part) for part in parts})


async def _ended(tasks: "set[asyncio.Future[Any]]") -> None:
    timeouts: list[SearchTimeout] = []
    waiting = tasks
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
            for error in filter(None, (task.exception() for task in done)):
                if not isinstance(error, SearchTimeout):
                    raise error
                timeouts.append(error)
        if timeouts:
            raise timeouts[0]
    finally:
        for task in tasks:
            task.cancel()
