"""The embedded ClickHouse as an actor: the one process that has the store's directory open.

Statements do not pass through Ray: clients speak HTTP to the URL, which stays the same over restarts. The
actor is there to be started on the right node, started again when it dies, and seen in the dashboard.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from ray.actor import ActorHandle

from actors.placement import EMBEDDED_CLICKHOUSE, actor_options, start_actor
from core.settings import ClickHouseSettings

CPUS: Final = 0.2
CALLS_MAX: Final = 16  # `url` and `observe` only: statements come over HTTP


class EmbeddedClickHouseActor:
    """chDB behind ClickHouse's HTTP interface; answers from the moment that it is constructed."""

    def __init__(self, settings: ClickHouseSettings, data_dir: Path) -> None:
        # chDB's library takes 300 MB of memory: it is loaded here, not by whoever starts the actor.
        from storage.embedded.service import EmbeddedClickHouse

        self._service = EmbeddedClickHouse(data_dir, settings)

    async def url(self) -> SecretStr:
        """Where it answers, password included."""
        return self._service.url()

    async def observe(self) -> dict[str, Any]:
        """What is stored, what runs, and where it answers."""
        return await asyncio.to_thread(self._service.observe)

    async def close(self) -> None:
        """Stop answering and close the store; to be called before the actor is ended for good."""
        await asyncio.to_thread(self._service.close)


def start_embedded_clickhouse(
    settings: ClickHouseSettings, data_dir: Path, node_id: str
) -> "ActorHandle[Any]":
    """The actor, started if there is none, on the node whose disk holds the store."""
    options = actor_options(EMBEDDED_CLICKHOUSE, CPUS, CALLS_MAX, node_id)
    return start_actor(EmbeddedClickHouseActor, options, settings, data_dir)
