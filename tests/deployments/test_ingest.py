"""Ingest apart from HTTP: what is counted, what is kept, and the bound on bodies that come in at once."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.requests import Request

from actors.partition_writer import PartitionWriter
from actors.writer_client import WriterClient
from core.clock import SystemClock
from core.errors import MalformedBody, Overloaded
from core.limits import MIB
from core.metrics import Metrics
from core.settings import WalSettings
from deployments.haproxy.amended_haproxy import ROOM_HEADER
from deployments.ingest import OFFERED_BYTES_MAX, Bodies, Ingest
from storage.clickhouse import ClickHouse
from storage.log_table import LogTables


class Service:
    """An ingest in front of a real partition writer."""

    def __init__(self, clickhouse: ClickHouse, data_dir: Path, settings: WalSettings) -> None:
        self.clickhouse, clock = clickhouse, SystemClock()
        self.metrics = Metrics(clock)
        store = LogTables(clickhouse)
        self.writer = PartitionWriter(0, settings, data_dir, store, Metrics(clock), clock)
        self.client = WriterClient([self.writer], clock, os.urandom)
        self.ingest = Ingest(self.client, self.metrics, clock)

    async def close(self) -> None:
        await self.client.close()
        await self.writer.close()


@pytest.fixture
async def service(clickhouse: ClickHouse, tmp_path: Path) -> AsyncIterator[Service]:
    started = Service(clickhouse, tmp_path, WalSettings(free_disk_bytes_min=0))
    yield started
    await started.close()


def request(body: bytes, **headers: str) -> Request:
    pieces = iter([body])

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": next(pieces, b""), "more_body": False}

    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": pairs, "client": None}, receive)


async def test_logs_and_dead_letters_are_counted_by_method_and_reason(service: Service) -> None:
    body = b'[{"timestamp": 1, "message": "a"}, {"timestamp": 1}, {"message": "b"}]'
    answer = await service.ingest.post_logs(request(body))
    assert answer.status_code == 202
    values = service.metrics.snapshot().values
    assert values["logs_ingested_total"] == {("http",): 1}
    assert values["dead_letters_total"] == {("http",): 2}
    assert values["logs_rejected_total"] == {("message",): 1, ("timestamp",): 1}
    assert service.writer.observe().buffered_rows == 3


async def test_a_body_that_cannot_be_parsed_is_kept_before_it_is_refused(service: Service) -> None:
    with pytest.raises(MalformedBody):
        await service.ingest.post_logs(request(b"[{]"))
    assert await service.writer.drain(20)
    assert service.clickhouse.query("SELECT raw FROM dead_letters").rows == [("[{]",)]


async def test_a_refusal_is_passed_on_and_counted_by_its_bound(
    clickhouse: ClickHouse, tmp_path: Path
) -> None:
    # No disk has so much room.
    service = Service(clickhouse, tmp_path, WalSettings(free_disk_bytes_min=1 << 60))
    with pytest.raises(Overloaded):
        await service.ingest.post_logs(request(b'{"timestamp": 1, "message": "a"}'))
    values = service.metrics.snapshot().values
    assert values["backpressure_total"] == {("disk_low",): 1}
    assert "logs_ingested_total" not in values
    await service.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(SystemClock())


def test_bodies_that_come_in_at_once_have_a_bound(metrics: Metrics) -> None:
    bodies = Bodies(metrics, 3 * MIB)
    with bodies.room_for(request(b"", content_length=str(2 * MIB))):
        with pytest.raises(Overloaded), bodies.room_for(request(b"", content_length=str(2 * MIB))):
            pass
        with bodies.room_for(request(b"", content_length="1000")):
            pass
    with bodies.room_for(request(b"", content_length=str(3 * MIB))):
        pass


def test_a_body_of_unknown_length_counts_as_the_longest(metrics: Metrics) -> None:
    with pytest.raises(Overloaded), Bodies(metrics, 3 * MIB).room_for(request(b"")):
        pass


async def test_an_answer_tells_haproxy_how_much_room_is_left(service: Service) -> None:
    answer = await service.ingest.post_logs(request(b'{"timestamp": 1, "message": "a"}'))
    assert answer.headers[ROOM_HEADER] == str(OFFERED_BYTES_MAX)


def test_room_is_what_the_unstored_bodies_leave(metrics: Metrics) -> None:
    bodies = Bodies(metrics)
    with bodies.unstored(bytes(5 * MIB)):
        assert bodies.room == OFFERED_BYTES_MAX - 5 * MIB
        with bodies.unstored(bytes(10 * MIB)):
            assert bodies.room == 0
    assert bodies.room == OFFERED_BYTES_MAX


def test_what_was_read_and_is_not_stored_has_a_bound(metrics: Metrics) -> None:
    bodies = Bodies(metrics, unstored_bytes_max=1000)
    with bodies.room_for(request(b"")), bodies.room_for(request(b"")):
        pass
    with bodies.unstored(bytes(1500)):
        with pytest.raises(Overloaded), bodies.room_for(request(b"")):
            pass
        with pytest.raises(Overloaded), bodies.unstored(b"read meanwhile"):
            pass
    with bodies.room_for(request(b"")), bodies.unstored(bytes(999)), bodies.unstored(bytes(999)):
        pass
    assert metrics.snapshot().values["backpressure_total"] == {("unstored",): 2}


async def test_a_sender_that_goes_away_in_mid_body_leaves_nothing(service: Service) -> None:
    messages = iter([{"type": "http.request", "body": b"[{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, object]:
        return next(messages)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": None}
    with pytest.raises(MalformedBody, match="ended before"):
        await service.ingest.post_logs(Request(scope, receive))
    assert service.writer.observe().buffered_rows == 0
