"""A real HAProxy in front of a busy replica: it refuses in the replica's place, and only for a moment."""

from concurrent.futures import ThreadPoolExecutor

from deployments.haproxy.amended_haproxy import BUSY_BODY, COUNTED_BYTES_MAX, ROOM_HEADER
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


def test_a_replica_without_room_gets_no_large_requests_until_it_has_room(
    door: FrontDoor, replica: Replica
) -> None:
    replica.room = "0"
    assert door.post(LARGE).status_code == 202
    refused = door.post(LARGE)
    assert (refused.status_code, refused.headers["Retry-After"], refused.text) == (429, "1", BUSY_BODY)
    replica.room = "1"
    assert door.post(b"small").status_code == 202
    assert [door.post(LARGE).status_code for _ in range(3)] == [202, 202, 202]


def test_what_is_under_way_is_taken_from_the_room(door: FrontDoor, replica: Replica) -> None:
    replica.room = str(3 * len(LARGE))
    told = door.post(LARGE)
    assert ROOM_HEADER not in told.headers
    replica.may_answer.clear()
    with ThreadPoolExecutor(8) as clients:
        under_way = [clients.submit(door.post, LARGE) for _ in range(8)]
        # A replica that says nothing gets what it had room for; HAProxy answers the others at once.
        wait_until(lambda: sum(answer.done() for answer in under_way) == 5)
        wait_until(lambda: replica.requests == 1 + 3)
        replica.may_answer.set()
        assert sorted(answer.result().status_code for answer in under_way) == [202] * 3 + [429] * 5


def test_a_replica_that_has_ended_gets_requests_again_without_an_answer(
    door: FrontDoor, replica: Replica
) -> None:
    replica.room = "0"
    assert door.post(LARGE).status_code == 202
    assert door.post(LARGE).text == BUSY_BODY
    replica.room = ""
    wait_until(lambda: door.post(LARGE).status_code == 202, 2)


def test_a_request_that_is_not_stored_takes_no_room(door: FrontDoor, replica: Replica) -> None:
    replica.room = str(2 * len(LARGE))
    assert door.post(LARGE).status_code == 202
    replica.room, replica.status = "", 401
    assert [door.post(LARGE).status_code for _ in range(5)] == [401] * 5


def test_one_request_under_way_does_not_take_all_the_room(door: FrontDoor, replica: Replica) -> None:
    replica.room = str(2 * COUNTED_BYTES_MAX)
    assert door.post(LARGE).status_code == 202
    replica.may_answer.clear()
    with ThreadPoolExecutor(2) as clients:
        huge = clients.submit(door.post, bytes(4 * COUNTED_BYTES_MAX))
        wait_until(lambda: replica.requests == 2)
        large = clients.submit(door.post, LARGE)
        wait_until(lambda: replica.requests == 3)
        replica.may_answer.set()
        assert (huge.result().status_code, large.result().status_code) == (202, 202)
