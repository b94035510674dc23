"""The way from an HTTP replica to the query planner."""

from collections.abc import Mapping
from typing import Any, Final

from actors.named import NamedActors
from actors.placement import QUERY_PLANNER
from core.clock import Clock
from core.errors import StorageUnavailable
from query.export import ExportCursor, ExportPage

RETURN_S: Final = 5.0  # for a planner that died to come back: a search may be asked again, it changes nothing
RETRY_PAUSE_S: Final = 0.1


class PlannerClient:
    """Calls QueryPlanner's methods on its actor; a cancelled call is cancelled there too.

    Its methods raise StorageUnavailable while the planner, or ClickHouse behind it, is away.
    """

    def __init__(self, actors: NamedActors, clock: Clock) -> None:
        self._actors, self._clock = actors, clock

    async def search(self, body: Mapping[str, Any]) -> bytes:
        """As QueryPlanner.search."""
        answer: bytes = await self._call("search", body)
        return answer

    async def explain(self, body: Mapping[str, Any]) -> bytes:
        """As QueryPlanner.explain."""
        answer: bytes = await self._call("explain", body)
        return answer

    async def export(self, body: Mapping[str, Any], cursor: ExportCursor | None) -> ExportPage:
        """As QueryPlanner.export."""
        page: ExportPage = await self._call("export", body, cursor)
        return page

    async def fields(self, query: Mapping[str, str]) -> bytes:
        """As QueryPlanner.fields."""
        answer: bytes = await self._call("fields", query)
        return answer

    async def values(self, field: str, query: Mapping[str, str]) -> bytes:
        """As QueryPlanner.values."""
        answer: bytes = await self._call("values", field, query)
        return answer

    async def log(self, log_id: str) -> bytes:
        """As QueryPlanner.log."""
        answer: bytes = await self._call("log", log_id)
        return answer

    async def context(self, log_id: str, query: Mapping[str, str]) -> bytes:
        """As QueryPlanner.context."""
        answer: bytes = await self._call("context", log_id, query)
        return answer

    async def _call(self, method: str, *arguments: Any) -> Any:
        began_s = self._clock.monotonic_s()
        while True:
            try:
                return await self._actors.ask(QUERY_PLANNER, method, *arguments)
            except StorageUnavailable:
                if self._clock.monotonic_s() - began_s > RETURN_S:
                    raise
            await self._clock.sleep(RETRY_PAUSE_S)
