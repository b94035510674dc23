"""The routes of searches, exports, fields and single logs."""

import zlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from core.errors import InvalidSearch
from core.limits import API_BODY_BYTES_MAX
from deployments.answers import json_response, read_json
from deployments.client_gone import while_connected
from query.export import ExportCursor, ExportPage

CONTENT_TYPES: Final = {"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
GZIP_LEVEL: Final = 1  # an export is bound by the CPU, logs shrink five times at any level
GZIP_WINDOW: Final = 31  # zlib's way to say gzip: 15 bits and 16


class Planner(Protocol):
    """The query planner, as the API sees it: its methods are QueryPlanner's."""

    async def search(self, body: Mapping[str, Any]) -> bytes: ...
    async def explain(self, body: Mapping[str, Any]) -> bytes: ...
    async def export(self, body: Mapping[str, Any], cursor: ExportCursor | None) -> ExportPage: ...
    async def fields(self, query: Mapping[str, str]) -> bytes: ...
    async def values(self, field: str, query: Mapping[str, str]) -> bytes: ...
    async def log(self, log_id: str) -> bytes: ...
    async def context(self, log_id: str, query: Mapping[str, str]) -> bytes: ...


class SearchApi:
    """Hands bodies to the planner, and its answers to the client. A client that goes away ends its search."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    async def search(self, request: Request) -> Response:
        """200 with the answer, whatever the request's Content-Type."""
        body = await read_json(request, API_BODY_BYTES_MAX)
        return json_response(await while_connected(request, self._planner.search(body)))

    async def explain(self, request: Request) -> Response:
        """200 with how the search was answered."""
        body = await read_json(request, API_BODY_BYTES_MAX)
        return json_response(await while_connected(request, self._planner.explain(body)))

    async def export(self, request: Request) -> Response:
        """200 with all matches, as they are found; whatever is wrong at the start has its own status."""
        body = await read_json(request, API_BODY_BYTES_MAX)
        first = await while_connected(request, self._planner.export(body, None))
        kind = body.get("format", "jsonl")
        headers = {"Content-Disposition": f'attachment; filename="logs.{kind}"'}
        chunks = self._pages(body, first)
        if body.get("gzip") or _takes_gzip(request):
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            chunks = _gzipped(chunks)
        return StreamingResponse(chunks, headers=headers, media_type=CONTENT_TYPES[kind])

    async def fields(self, request: Request) -> Response:
        """200 with the fields of the logs that match."""
        return json_response(await while_connected(request, self._planner.fields(_query(request))))

    async def values(self, request: Request) -> Response:
        """200 with the most frequent values of a field."""
        name = request.path_params["name"]
        return json_response(await while_connected(request, self._planner.values(name, _query(request))))

    async def log(self, request: Request) -> Response:
        """200 with one log, 404 when there is none of that id."""
        return json_response(await self._planner.log(request.path_params["id"]))

    async def context(self, request: Request) -> Response:
        """200 with a log and its neighbours."""
        call = self._planner.context(request.path_params["id"], _query(request))
        return json_response(await while_connected(request, call))

    async def _pages(self, body: Mapping[str, Any], first: ExportPage) -> AsyncGenerator[bytes, None]:
        page = first
        yield page.text
        while page.next is not None:
            page = await self._planner.export(body, page.next)
            yield page.text


def search_routes(planner: Planner) -> list[Route]:
    """The routes of searches, exports and fields."""
    api = SearchApi(planner)
    return [
        Route("/api/v1/search", api.search, methods=["POST"]),
        Route("/api/v1/search/explain", api.explain, methods=["POST"]),
        Route("/api/v1/search/export", api.export, methods=["POST"]),
        Route("/api/v1/fields", api.fields, methods=["GET"]),
        Route("/api/v1/fields/{name:path}/values", api.values, methods=["GET"]),
    ]


def log_routes(planner: Planner) -> list[Route]:
    """The routes of single logs, apart: their prefix is that of the ingest."""
    api = SearchApi(planner)
    return [
        Route("/api/v1/logs/{id}", api.log, methods=["GET"]),
        Route("/api/v1/logs/{id}/context", api.context, methods=["GET"]),
    ]


def _query(request: Request) -> dict[str, str]:
    """The URL's query; a key may stand there once."""
    pairs = request.query_params.multi_items()
    query = dict(pairs)
    if len(query) < len(pairs):
        raise InvalidSearch(
            {name: "stands there more than once" for name, _ in pairs if _repeated(name, pairs)}
        )
    return query


def _repeated(name: str, pairs: list[tuple[str, str]]) -> bool:
    return sum(other == name for other, _ in pairs) > 1


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


async def _gzipped(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    packer = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_WINDOW)
    async with aclosing(chunks):
        async for chunk in chunks:
            if packed := packer.compress(chunk):
                yield packed
    yield packer.flush()
