"""The dead letters over HTTP: list them, and try them again."""

import asyncio
from dataclasses import replace
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.clock import Clock
from core.errors import InvalidRequest, RejectedRecord
from core.limits import API_BODY_BYTES_MAX, MIB, REPORTED_ERRORS_MAX
from core.log_batch import LogBatch, Received
from core.metric_names import LOGS_INGESTED
from core.metrics import Metrics
from deployments.answers import json_response, read_json
from deployments.ingest import Writers
from formats.reread import reread
from query.iso import iso
from query.times import read_time
from storage.dead_letters import DeadLetter, DeadLetters, Filter, Key, read_key
from storage.wal.payload import merge

LIST_MAX: Final = 1000
REPLAY_MAX: Final = 1000  # of one request: the client asks again while `remaining` is not 0
REPLAY_GROUP_BYTES: Final = 2 * MIB  # as columns, stored and marked at once: flattened, a letter may grow

Wanted = TypeVar("Wanted", bound=BaseModel)
Id = Annotated[str, Field(pattern="^[0-9a-f]{16}-[0-9a-f]{16}$")]


class Selection(BaseModel):
    """Which dead letters: query parameters of the list, body of a replay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str | None = None
    method: str | None = None
    source_ip: str | None = None
    contains: str | None = None
    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None


class ListRequest(Selection):
    """GET /api/v1/dead-letters."""

    replayed: bool | None = None
    limit: Annotated[int, Field(ge=1, le=LIST_MAX)] = 100
    cursor: Id | None = None


class ReplayRequest(Selection):
    """POST /api/v1/dead-letters/replay: these ids, or the newest that match and were not replayed yet."""

    ids: Annotated[tuple[Id, ...] | None, Field(max_length=REPLAY_MAX)] = None
    limit: Annotated[int, Field(ge=1, le=REPLAY_MAX)] = REPLAY_MAX


class DeadLettersApi:
    """Both routes; replayed logs go the way of all logs, through a partition writer."""

    def __init__(self, store: DeadLetters, writers: Writers, metrics: Metrics, clock: Clock) -> None:
        self._store, self._writers, self._metrics, self._clock = store, writers, metrics, clock

    def routes(self) -> list[Route]:
        """What is to be mounted."""
        return [
            Route("/api/v1/dead-letters", self.list_letters, methods=["GET"]),
            Route("/api/v1/dead-letters/replay", self.replay, methods=["POST"]),
        ]

    async def list_letters(self, request: Request) -> Response:
        """200 with the newest that match, their number, and the cursor of the next page."""
        wanted = _validated(ListRequest, dict(request.query_params))
        every = replace(self._filter(wanted), replayed=wanted.replayed)
        page = replace(every, before=_key(wanted.cursor) if wanted.cursor else None)
        store = self._store
        letters, total = await asyncio.gather(
            asyncio.to_thread(store.find, page, wanted.limit), asyncio.to_thread(store.count, every)
        )
        more = len(letters) == wanted.limit
        return json_response(
            {
                "dead_letters": [_shown(letter) for letter in letters],
                "total": total,
                "next_cursor": str(letters[-1].key) if more else None,
            }
        )

    async def replay(self, request: Request) -> Response:
        """200 with how many are logs now, how many still are not, and the first reasons."""
        body = await read_json(request, API_BODY_BYTES_MAX)
        wanted = _validated(ReplayRequest, body)
        keys = None if wanted.ids is None else tuple(map(_key, wanted.ids))
        filter_ = replace(self._filter(wanted), replayed=False, keys=keys)
        store = self._store
        letters = await asyncio.to_thread(store.find, filter_, wanted.limit)
        replayed, failures = 0, []
        group: list[tuple[DeadLetter, LogBatch]] = []
        size = 0
        for letter in letters:
            try:
                batch = _read_again(letter)
            except RejectedRecord as rejected:
                failures.append({"id": str(letter.key), "reason": rejected.reason})
                continue
            replayed += 1
            group.append((letter, batch))
            size += batch.logs.nbytes
            if size >= REPLAY_GROUP_BYTES:
                await self._store_again(group)
                group, size = [], 0
        await self._store_again(group)
        remaining = await asyncio.to_thread(store.count, filter_)
        return json_response(
            {
                "replayed": replayed,
                "failed": len(failures),
                "remaining": remaining,
                "errors": failures[:REPORTED_ERRORS_MAX],
            }
        )

    async def _store_again(self, replayed: list[tuple[DeadLetter, LogBatch]]) -> None:
        if not replayed:
            return
        # Durable first, marked second: a crash in between leaves letters that can be replayed once more.
        batch = merge([batch for _, batch in replayed])
        await self._writers.send(batch)
        for letter, part in replayed:
            self._metrics.count(LOGS_INGESTED, part.logs.num_rows, (letter.method,))
        keys = [letter.key for letter, _ in replayed]
        await asyncio.to_thread(self._store.mark_replayed, keys, self._clock.now_ns())

    def _filter(self, wanted: Selection) -> Filter:
        problems: dict[str, str] = {}
        bounds: dict[str, int | None] = {"from": None, "to": None}
        for name, text in (("from", wanted.from_), ("to", wanted.to)):
            if text is None:
                continue
            span = read_time(text.strip(), self._clock.now_ns())
            if span is None:
                problems[name] = "is not a time: write 2024-01-15T10:00:00Z, an epoch or now-15m"
            else:
                bounds[name] = span.start_ns if name == "from" else span.end_ns
        if problems:
            raise InvalidRequest(problems)
        return Filter(
            reason=wanted.reason,
            method=wanted.method,
            source_ip=wanted.source_ip,
            contains=wanted.contains,
            from_ns=bounds["from"],
            until_ns=bounds["to"],
        )


def _read_again(letter: DeadLetter) -> LogBatch:
    if len(letter.raw) < letter.raw_bytes:
        raise RejectedRecord("record: was cut when it was kept")
    return reread(letter.raw, Received(letter.key.received_at_ns, letter.source_ip, letter.method))


def _shown(letter: DeadLetter) -> dict[str, Any]:
    r"""A dead letter as the answer shows it: bytes that are no UTF-8 as \xNN."""
    return {
        "id": str(letter.key),
        "received_at": iso(letter.key.received_at_ns),
        "reason": letter.reason,
        "raw": letter.raw.decode(errors="backslashreplace"),
        "raw_bytes": letter.raw_bytes,
        "source_ip": letter.source_ip,
        "method": letter.method,
        "replayed_at": iso(letter.replayed_at_ns) if letter.replayed_at_ns else None,
    }


def _key(text: str) -> Key:
    key = read_key(text)
    assert key is not None, "the pattern of the request is that of a key"
    return key


def _validated(model: type[Wanted], values: Any) -> Wanted:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise InvalidRequest({".".join(map(str, e["loc"])) or "body": e["msg"] for e in problems}) from None
