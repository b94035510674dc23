"""The HTTP server in front of chDB: ClickHouse's own interface, so that any of its clients works.

https://clickhouse.com/docs/interfaces/http. Left out: named sessions keep nothing between requests,
compressed blocks (`compress=1`), external tables.
"""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web
from chdb import ChdbError

from storage.embedded import answer
from storage.embedded.connections import Session
from storage.embedded.engine import Answer, Engine
from storage.embedded.file_in_memory import FileInMemory
from storage.embedded.receive import BODY_BYTES_MAX, read_request
from storage.embedded.refusal import Refused, break_off, failed, refusal
from storage.embedded.request import Question, allowed
from storage.embedded.statement import Kind, Statement
from storage.embedded.workers import Busy, Workers

logger = logging.getLogger(__name__)

SLOW_CLIENT_S: Final = 120  # a client that takes nothing for so long has its query stopped
URI_BYTES_MAX: Final = 1 << 20  # as http_max_uri_size has it: parameters stand in it
STOP_WITHIN_S: Final = 2.0
KILL_AGAIN_S: Final = 0.05  # a query that is being parsed cannot be killed yet


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Threads and waiting places for each sort of statement."""

    search_threads: int = 4
    insert_threads: int = 2
    waiting_max: int = 64


class Server:
    """Answers HTTP requests on one event loop; statements run on groups of threads."""

    def __init__(self, engine: Engine, password: str, limits: ServerLimits = ServerLimits()) -> None:
        self._engine, self._password = engine, password
        self._reads = Workers("search", limits.search_threads, limits.waiting_max)
        # Inserts have threads that searches cannot take, and kills one that neither can.
        self._inserts = Workers("insert", limits.insert_threads, limits.waiting_max)
        self._kills = Workers("kill", 1, limits.waiting_max)
        self._running: dict[str, Statement] = {}
        self._runner: web.AppRunner | None = None

    async def start(self, listener: socket.socket) -> None:
        """Begin to answer on a listening socket."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/ping", _ok)
        app.router.add_get("/replicas_status", _ok)
        app.router.add_route("*", "/", self._answer)
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,  # a query ends when its client goes away
            auto_decompress=False,
            max_line_size=URI_BYTES_MAX,
            access_log=None,
            shutdown_timeout=STOP_WITHIN_S,
        )
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Answer no more: queries have STOP_WITHIN_S to end and are then stopped, inserts always end."""
        if self._runner is not None:
            await self._runner.cleanup()
        # Only now may somebody else open the store.
        await asyncio.gather(
            *(asyncio.to_thread(workers.close) for workers in (self._reads, self._inserts, self._kills))
        )

    def load(self) -> dict[str, int]:
        """Statements that run or wait, by sort."""
        return {workers.name: workers.taken for workers in (self._reads, self._inserts)}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        url = dict(request.query)
        try:
            if not allowed(url, request.headers, self._password):
                raise Refused(
                    516, "AUTHENTICATION_FAILED", "Authentication failed: user or password is wrong"
                )
            if request.method not in ("GET", "POST"):
                raise Refused(48, "NOT_IMPLEMENTED", f"method {request.method} is not supported", 501)
            question, statement, data = await read_request(request, url)
            if not statement.sql.strip():
                return await _ok(request)
            return await self._execute(request, question, statement, data)
        except Refused as refused:
            return refusal(refused, url.get("query_id", ""))

    async def _execute(
        self, request: web.Request, question: Question, statement: Statement, data: FileInMemory | None
    ) -> web.StreamResponse:
        query_id = question.session.query_id
        if query_id in self._running:
            raise Refused(
                216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", f"query with id {query_id} is already running"
            )
        self._running[query_id] = statement
        try:
            format_name = statement.format or question.default_format
            if statement.streams and not question.whole and answer.can_stream(format_name):
                return await self._stream(request, question, statement, format_name)
            return await self._whole(question, statement, format_name, data)
        finally:
            del self._running[query_id]

    async def _whole(
        self, question: Question, statement: Statement, format_name: str, data: FileInMemory | None
    ) -> web.Response:
        session = question.session
        if data is not None:
            # The thread closes the file: it goes on when the client goes away.
            work = partial(self._insert, statement, session, data)
            result = await self._run(self._inserts, question, statement, work)
        else:
            workers = self._kills if statement.kind is Kind.KILL else self._reads
            work = partial(self._engine.run, statement, session, question.default_format)
            result = await self._run(workers, question, statement, work)
        headers = _headers(question.session.query_id, result)
        if statement.kind is Kind.READ or result.body:
            headers["X-ClickHouse-Format"] = format_name
        headers["Content-Type"] = answer.content_type(format_name)
        return web.Response(body=result.body, headers=headers)

    def _insert(self, statement: Statement, session: Session, data: FileInMemory) -> Answer:
        with data:
            return self._engine.insert(statement, session, data)

    async def _run(
        self, workers: Workers, question: Question, statement: Statement, work: Callable[[], Answer]
    ) -> Answer:
        """Run on a thread; when the client goes away, a query is stopped, anything else runs to its end."""
        try:
            future = workers.submit(work)
        except Busy as error:
            raise Refused(202, "TOO_MANY_SIMULTANEOUS_QUERIES", str(error)) from error
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if statement.kind is Kind.READ:
                await self._end(question.session.query_id, future)
            raise
        except (RuntimeError, ChdbError) as error:
            raise failed(error) from error

    async def _end(self, query_id: str, future: Future[Answer]) -> None:
        if future.cancel():  # it had not begun
            return
        ended = asyncio.wrap_future(future)
        ended.add_done_callback(lambda _: ended.cancelled() or ended.exception())
        while not future.done():
            with suppress(Busy):
                await asyncio.wrap_future(self._kills.submit(lambda: self._engine.kill(query_id)))
            await asyncio.wait([ended], timeout=KILL_AGAIN_S)

    async def _stream(
        self, request: web.Request, question: Question, statement: Statement, format_name: str
    ) -> web.StreamResponse:
        """Send the answer while the query runs: the engine waits for the client, not the other way round."""
        loop = asyncio.get_running_loop()
        response = web.StreamResponse()
        tag = secrets.token_hex(8)

        async def begin(first: Answer) -> None:
            response.headers.update(_headers(question.session.query_id, first))
            response.headers["Content-Type"] = answer.content_type(format_name)
            response.headers["X-ClickHouse-Format"] = format_name
            response.headers["X-ClickHouse-Exception-Tag"] = tag
            await response.prepare(request)

        async def write(data: bytes) -> None:
            if not response.prepared:
                await begin(Answer(b""))
            await response.write(data)

        def send(data: bytes) -> None:
            asyncio.run_coroutine_threadsafe(write(data), loop).result(SLOW_CLIENT_S)

        def work() -> Answer:
            blocks = self._engine.blocks(statement, question.session, question.default_format)
            with closing(blocks):
                return _send_blocks(blocks, answer.Joiner(format_name), send)

        try:
            total = await self._run(self._reads, question, statement, work)
        except Refused as refused:
            if not response.prepared:
                raise
            await break_off(request, response, refused.text, tag)
            return response
        if not response.prepared:
            # Nothing or little: the whole answer is known before its headers go out.
            await begin(total)
            await response.write(total.body)
        await response.write_eof()
        return response


def _send_blocks(blocks: Iterator[Answer], joiner: answer.Joiner, send: Callable[[bytes], None]) -> Answer:
    """Send all blocks; the answer's cost, and its body if it is one block, which is not sent."""
    held: bytes | None = None
    rows = read_rows = read_bytes = 0
    elapsed_s = 0.0
    sent = False
    for block in blocks:
        if held is not None:
            send(held)
            sent = True
        held = joiner.join(block.body)
        rows += block.result_rows
        read_rows, read_bytes = max(read_rows, block.read_rows), max(read_bytes, block.read_bytes)
        elapsed_s = max(elapsed_s, block.elapsed_s)
    body = (held or b"") + joiner.end()
    if sent:
        send(body)
        body = b""
    return Answer(body, rows, read_rows, read_bytes, elapsed_s=elapsed_s)


async def _ok(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n", headers={"Content-Type": "text/html; charset=UTF-8"})


def _headers(query_id: str, result: Answer) -> dict[str, str]:
    return {
        "X-ClickHouse-Server-Display-Name": "logray-embedded",
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Summary": answer.summary(
            read_rows=result.read_rows,
            read_bytes=result.read_bytes,
            written_rows=result.written_rows,
            written_bytes=result.written_bytes,
            result_rows=result.result_rows,
            result_bytes=len(result.body),
            elapsed_s=result.elapsed_s,
        ),
    }
