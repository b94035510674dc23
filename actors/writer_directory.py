"""Keeps a process's WriterClient in step with the partitions of the cluster, which the supervisor knows."""

import logging
import os
from typing import Final

from actors.named import Actors
from actors.placement import SUPERVISOR
from actors.writer_client import RayWriter, WriterClient
from core.clock import Clock
from core.errors import StorageUnavailable

ASK_AGAIN_S: Final = 0.2  # while no partition is known: the service is starting
REFRESH_S: Final = 10.0  # a node that joined brings further partitions

log = logging.getLogger(__name__)


class WriterDirectory:
    """Adds a lane to the client for each partition that appears.

    One that goes away with its node stays: the client uses it last, and its logs come back with the node.
    """

    def __init__(self, actors: Actors, clock: Clock) -> None:
        self._actors, self._clock = actors, clock
        self._known: set[int] = set()
        self.client = WriterClient([], clock, os.urandom)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                partitions: list[int] = await self._actors.ask(SUPERVISOR, "partitions")
            except StorageUnavailable as error:
                log.debug("cannot ask for the partitions: %s", error)
                partitions = []
            for partition in sorted(set(partitions) - self._known):
                self._known.add(partition)
                self.client.add(RayWriter(partition))
            await self._clock.sleep(REFRESH_S if self._known else ASK_AGAIN_S)
