"""Calling actors by their names: looked up once, and again whenever they were lost."""

import asyncio
from typing import Any, Protocol

import ray
from ray.exceptions import RayError, RayTaskError

from actors.placement import NAMESPACE
from core.errors import StorageUnavailable


class Actors(Protocol):
    """What NamedActors offers, for those whose tests bring actors of their own."""

    async def ask(self, name: str, method: str, *arguments: Any) -> Any:
        """The answer of an actor's method; raises StorageUnavailable while the actor is away."""
        ...


class NamedActors:
    """Every actor of the service, for a process that is none itself; used from one event loop."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    async def ask(self, name: str, method: str, *arguments: Any) -> Any:
        """The answer of an actor's method, or what it raises; cancelling this cancels it there.

        Raises StorageUnavailable while the actor is away: the same call will do in a moment.
        """
        try:
            handle = self._handles.get(name)
            if handle is None:
                handle = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
                self._handles[name] = handle
            return await _answer(getattr(handle, method).remote(*arguments))
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, Exception) else error) from None
        except (RayError, ValueError) as error:
            self._handles.pop(name, None)
            raise StorageUnavailable(f"the {name} is restarting, try again") from error


async def _answer(call: Any) -> Any:
    try:
        return await call
    except asyncio.CancelledError:
        ray.cancel(call)
        raise
