"""The frame of every HTTP application: access, errors and request counts around the routes."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import LograyError
from core.metric_names import REQUESTS
from core.metrics import Metrics
from deployments.access import Access
from deployments.answers import error_response

Task = Callable[[], Awaitable[None]]


def build_application(
    routes: Sequence[BaseRoute], access: Access, metrics: Metrics, background: Sequence[Task] = ()
) -> ASGIApp:
    """A Starlette application behind the access rules; `background` tasks run while it lives."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(task()) for task in background]
        # What lives now lives as long as the process: no collection has to look at it again.
        gc.freeze()
        yield
        for task in tasks:
            task.cancel()

    async def on_error(request: Request, error: Exception) -> Response:
        return error_response(request, error)

    handlers = {LograyError: on_error, HTTPException: on_error, Exception: on_error}
    application = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    return Gate(application, access, metrics)


class Gate:
    """Refuses what the access rules refuse before anything of the body is read; counts answers."""

    def __init__(self, application: ASGIApp, access: Access, metrics: Metrics) -> None:
        self._application, self._access, self._metrics = application, access, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count(REQUESTS, 1, (scope["method"], str(message["status"])))
            await send(message)

        # Serve mounts an application at its prefix; our routes spell out the whole path.
        scope = {**scope, "root_path": ""}
        request = Request(scope)
        try:
            self._access.check(scope["method"], request.url.path, request.headers)
        except LograyError as refusal:
            await error_response(request, refusal)(scope, receive, counted)
            return
        await self._application(scope, receive, counted)
