"""Calls that were stored lately are known, the oldest are forgotten first."""

from storage.wal.recent_calls import RecentCalls


def test_the_parts_of_a_call_are_known_one_by_one() -> None:
    calls = RecentCalls()
    assert calls.missing(b"a", 3) == [0, 1, 2]
    calls.add(b"a", 1)
    assert calls.missing(b"a", 3) == [0, 2]
    calls.add(b"a", 0)
    calls.add(b"a", 2)
    assert calls.missing(b"a", 3) == []
    assert calls.missing(b"b", 1) == [0]


def test_the_oldest_call_is_forgotten_first() -> None:
    calls = RecentCalls(calls_max=2)
    for call in (b"a", b"b", b"c"):
        calls.add(call, 0)
    assert len(calls) == 2
    assert calls.missing(b"a", 1) == [0]
    assert calls.missing(b"c", 1) == []
