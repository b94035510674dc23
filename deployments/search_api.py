"""The routes of searches: `POST /api/v1/search`."""

from collections.abc import Mapping
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.limits import API_BODY_BYTES_MAX
from deployments.answers import json_response, read_json
from deployments.client_gone import while_connected


class Planner(Protocol):
    """The query planner, as the API sees it."""

    async def search(self, body: Mapping[str, Any]) -> bytes:
        """As QueryPlanner.search."""
        ...


class SearchApi:
    """Hands bodies to the planner, and its answers to the client."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    async def search(self, request: Request) -> Response:
        """200 with the answer, whatever the request's Content-Type."""
        body = await read_json(request, API_BODY_BYTES_MAX)
        return json_response(await while_connected(request, self._planner.search(body)))


def search_routes(planner: Planner) -> list[Route]:
    """All routes of searches."""
    api = SearchApi(planner)
    return [Route("/api/v1/search", api.search, methods=["POST"])]
