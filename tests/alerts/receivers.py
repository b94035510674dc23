"""Receivers of notices: a real HTTP server and a real SMTP server that answer as they are told."""

import asyncio
import json
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

HANG = "hang"  # take the request and never answer
DROP = "drop"  # close the connection without an answer


@dataclass(frozen=True)
class Received:
    """One request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HttpReceiver:
    """Answers 200, unless `answers` has something else for the next ones: a status, a response, HANG or
    DROP.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: deque[int | str | Callable[[], web.Response]] = deque()
        self.always: int | str | Callable[[], web.Response] = 200
        self._came = asyncio.Condition()
        self._stopped = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> "HttpReceiver":
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
        return self

    async def stop(self) -> None:
        self._stopped.set()
        assert self._runner is not None
        await self._runner.cleanup()

    async def wait_for(self, count: int, within_s: float = 20) -> list[Received]:
        """The requests, as soon as there are so many."""
        async with asyncio.timeout(within_s), self._came:
            await self._came.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with self._came:
            self.received.append(Received(request.method, request.path_qs, dict(request.headers), body))
            self._came.notify_all()
        answer = self.answers.popleft() if self.answers else self.always
        if answer == HANG:
            await self._stopped.wait()
        if answer == DROP:
            assert request.transport is not None
            request.transport.abort()
        if callable(answer):
            return answer()
        return web.Response(status=answer if isinstance(answer, int) else 200, text="said the receiver")


class SmtpReceiver:
    """A real SMTP server in a thread; `answers` has replies for the next mails, in place of 250."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, starttls: bool = False) -> None:
        self.mails: list[bytes] = []
        self.recipients: list[list[str]] = []
        self.answers: deque[str] = deque()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        options: dict[str, Any] = {"ready_timeout": 10}
        if starttls:
            options |= {"tls_context": tls, "require_starttls": True}
        elif tls is not None:
            options |= {"ssl_context": tls}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)

    async def handle_DATA(  # noqa: N802 - as aiosmtpd calls it
        self, _: SMTP, __: Session, envelope: Envelope
    ) -> str:
        if self.answers:
            return self.answers.popleft()
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"

    def start(self) -> "SmtpReceiver":
        self._controller.start()
        return self

    def stop(self) -> None:
        self._controller.stop()
