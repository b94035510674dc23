"""What a real HAProxy refuses is counted once, whoever counts and however often HAProxy is replaced."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from actors.haproxy_refusals import IDLE_S, RECORD, REFUSING_S, HAProxyRefusals
from core.haproxy_statistics import LAST_ANSWERS
from core.metric_names import HTTP_REFUSED
from core.metrics import Metrics
from deployments.haproxy.amended_haproxy import BODY_BYTES_MAX, BUSY_BODY
from tests.clocks import ManualClock
from tests.conditions import until, wait_until
from tests.deployments.front_door import LARGE, FrontDoor, Replica

REASONS = {"busy", "too_large", "unavailable", "bad_request", "denied"}


class Counting:
    """One process that may count, and what it has counted."""

    def __init__(self, admin_socket: Path) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics(self.clock)
        self.refusals = HAProxyRefusals(admin_socket, self.metrics, self.clock)

    def counted(self) -> dict[str, float]:
        """By reason, after another reading."""
        self.refusals.count()
        values = self.metrics.snapshot().values.get(HTTP_REFUSED.name, {})
        return {reason: value for (reason,), value in values.items()}


@pytest.fixture
def counting(door: FrontDoor) -> Iterator[Counting]:
    begun = Counting(door.admin_socket)
    begun.counted()
    yield begun
    begun.refusals.close()


def say(door: FrontDoor, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as connection:
        connection.sendall(request)
        return connection.recv(4096)


def busy(door: FrontDoor, replica: Replica) -> None:
    replica.status, replica.retry_after = 429, "1"
    assert door.post(LARGE).text == ""
    assert door.post(LARGE).text == BUSY_BODY


def too_large(door: FrontDoor, _: Replica) -> None:
    head = f"POST /api/v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY_BYTES_MAX + 1}\r\n\r\n"
    assert b" 413 " in say(door, head.encode())


def no_route(door: FrontDoor, _: Replica) -> None:
    assert requests.get(door.url.replace("logs", "x"), timeout=5).status_code == 503


def no_replica(door: FrontDoor, replica: Replica) -> None:
    replica.close()
    assert door.post().status_code == 503


def no_http(door: FrontDoor, _: Replica) -> None:
    assert b" 400 " in say(door, b"hello\r\n\r\n")


def hidden(door: FrontDoor, _: Replica) -> None:
    assert requests.get(door.url.replace("api/v1/logs", "-/routes"), timeout=5).status_code == 404


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (busy, "busy"),
        (too_large, "too_large"),
        (no_route, "unavailable"),
        (no_replica, "unavailable"),
        (no_http, "bad_request"),
        (hidden, "denied"),
    ],
)
def test_a_refusal_counts_once_under_its_reason(
    door: FrontDoor,
    replica: Replica,
    counting: Counting,
    refusal: Callable[[FrontDoor, Replica], None],
    reason: str,
) -> None:
    assert counting.counted() == dict.fromkeys(REASONS, 0.0)
    refusal(door, replica)
    wait_until(lambda: counting.counted()[reason] == 1)
    assert counting.counted() == {**dict.fromkeys(REASONS, 0.0), reason: 1.0}


def test_what_a_replica_says_and_a_connection_without_a_request_are_no_refusals(
    door: FrontDoor, replica: Replica, counting: Counting
) -> None:
    for replica.status in (202, 400, 429, 500, 503):
        assert door.post().status_code == replica.status
    socket.create_connection(("127.0.0.1", door.port), timeout=5).close()
    no_http(door, replica)  # after it, so that HAProxy has seen the others
    wait_until(lambda: counting.counted()["bad_request"] == 1)
    assert sum(counting.counted().values()) == 1


@pytest.mark.parametrize("crash", [False, True], ids=["reloaded", "killed and started"])
def test_the_sum_goes_on_when_haproxy_is_replaced(
    door: FrontDoor, replica: Replica, counting: Counting, crash: bool
) -> None:
    for _ in range(3):
        no_http(door, replica)
    wait_until(lambda: counting.counted()["bad_request"] == 3)
    for sum_so_far in (4, 5):
        if crash:
            door.kill()
            with pytest.raises(OSError, match="refused"):
                counting.counted()
            door.start()
        else:
            door.reload()
        assert counting.counted()["bad_request"] == sum_so_far - 1
        no_http(door, replica)
        wait_until(lambda wanted=sum_so_far: counting.counted()["bad_request"] == wanted)


def test_what_was_refused_between_the_last_reading_and_a_reload_is_counted(
    door: FrontDoor, replica: Replica, counting: Counting
) -> None:
    no_http(door, replica)
    wait_until(lambda: counting.counted()["bad_request"] == 1)
    for refusals in (3, 0, 2):
        for _ in range(refusals):
            no_http(door, replica)
        door.reload()
    no_http(door, replica)
    wait_until(lambda: counting.counted()["bad_request"] == 1 + 3 + 2 + 1)
    assert not list(door.admin_socket.parent.glob(LAST_ANSWERS))


def test_one_process_counts_and_when_it_ends_another_goes_on(
    door: FrontDoor, replica: Replica, counting: Counting
) -> None:
    heir = Counting(door.admin_socket)
    no_http(door, replica)
    wait_until(lambda: counting.counted()["bad_request"] == 1)
    assert heir.counted() == {}
    counting.refusals.close()
    no_http(door, replica)
    wait_until(lambda: heir.counted()["bad_request"] == 1)
    heir.refusals.close()


def test_after_a_damaged_record_too_little_is_counted_rather_than_twice(
    door: FrontDoor, replica: Replica, counting: Counting
) -> None:
    no_http(door, replica)
    wait_until(lambda: counting.counted()["bad_request"] == 1)
    door.admin_socket.with_name(RECORD).write_text('["12 of 34", {"bad_re')
    assert counting.counted()["bad_request"] == 1
    no_http(door, replica)
    wait_until(lambda: counting.counted()["bad_request"] == 2)


def test_without_haproxy_nothing_is_said_counted_or_left_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for admin_socket in (tmp_path / "admin", tmp_path / "missing" / "admin"):
        assert Counting(admin_socket).counted() == {}
    asyncio.run(run_for_a_while(Counting(tmp_path / "admin"), 1))
    assert not list(tmp_path.iterdir())
    assert not caplog.records


async def run_for_a_while(counting: Counting, seconds: float) -> list[float]:
    """When it looked, by its own clock, until that time has passed."""
    looked: list[float] = []
    count = counting.refusals.count

    def noted() -> bool:
        looked.append(counting.clock.monotonic_s())
        return count()

    counting.refusals.count = noted  # type: ignore[method-assign]
    running = asyncio.create_task(counting.refusals.run())
    until_s = counting.clock.monotonic_s() + seconds
    await until(lambda: counting.clock.monotonic_s() >= until_s)
    running.cancel()
    return looked


def test_it_looks_every_ten_seconds_and_every_second_while_there_are_refusals(
    door: FrontDoor, replica: Replica, counting: Counting
) -> None:
    no_http(door, replica)
    counting.refusals.close()
    looked = asyncio.run(run_for_a_while(counting, 3 * IDLE_S))
    pauses = [after - before for before, after in pairwise(looked)]
    assert pauses[:3] == [REFUSING_S, IDLE_S, IDLE_S]


def test_haproxy_that_answers_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        counting = Counting(path)
        asyncio.run(run_for_a_while(counting, 1))
        counting.refusals.close()
    assert counting.metrics.snapshot().values == {}
