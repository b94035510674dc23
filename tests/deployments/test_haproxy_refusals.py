"""A real HAProxy in front of a busy replica: it refuses in the replica's place, and only for a moment."""

from deployments.haproxy.amended_haproxy import BUSY_BODY
from tests.conditions import wait_until
from tests.deployments.front_door import LARGE, FrontDoor, Replica


def test_while_a_replica_is_busy_large_requests_do_not_reach_it(door: FrontDoor, replica: Replica) -> None:
    replica.status, replica.retry_after = 429, "1"
    found = [door.post(LARGE) for _ in range(20)]
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in found} == {(429, "1")}
    reached = [answer for answer in found if answer.text != BUSY_BODY]
    assert len(reached) == replica.requests < len(found)
    # Small ones pass: they cost little.
    assert door.post(b"small").text == ""
    assert replica.requests == len(reached) + 1
    replica.status = 202
    wait_until(lambda: door.post(LARGE).status_code == 202, 2)


def test_what_a_refusal_of_another_kind_says_reaches_the_client(door: FrontDoor, replica: Replica) -> None:
    replica.status, replica.retry_after = 429, "5"
    for _ in range(3):
        assert door.post(LARGE).headers["Retry-After"] == "5"
    assert replica.requests == 3
