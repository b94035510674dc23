"""Maintenance windows: once, weekly, monthly, over midnight and through a change of the clocks."""

from datetime import datetime

import pytest

from alerts.maintenance import open_window
from alerts.validation import validate
from alerts.windows_request import WindowBody, window_of
from core.errors import InvalidRequest

WEEKLY = {"at": "22:00", "duration": "4h", "weekdays": ["sat"], "time_zone": "Europe/Zurich"}


def is_open(moment: str, **fields: object) -> bool:
    window = window_of("window-1", validate(WindowBody, {"name": "w", **fields}))
    at_ns = int(datetime.fromisoformat(moment).timestamp()) * 10**9
    return window.is_open(at_ns)


@pytest.mark.parametrize(
    ("moment", "fields", "expected"),
    [
        ("2026-01-15T10:30Z", {"starts_at": "2026-01-15T10:00Z", "ends_at": "2026-01-15T11:00Z"}, True),
        ("2026-01-15T11:00Z", {"starts_at": "2026-01-15T10:00Z", "ends_at": "2026-01-15T11:00Z"}, False),
        ("2026-01-17T21:30+01:00", {"recurrence": WEEKLY}, False),
        ("2026-01-17T22:00+01:00", {"recurrence": WEEKLY}, True),
        ("2026-01-18T01:59+01:00", {"recurrence": WEEKLY}, True),
        ("2026-01-18T02:00+01:00", {"recurrence": WEEKLY}, False),
        ("2026-01-18T23:00+01:00", {"recurrence": WEEKLY}, False),
        ("2026-07-18T22:00+02:00", {"recurrence": WEEKLY}, True),
        ("2026-07-18T21:30+02:00", {"recurrence": WEEKLY}, False),
        # The night in which 02:00 becomes 03:00: four hours all the same.
        ("2026-03-29T03:30+02:00", {"recurrence": {**WEEKLY, "at": "23:00"}}, True),
        ("2026-03-29T04:00+02:00", {"recurrence": {**WEEKLY, "at": "23:00"}}, False),
        ("2026-03-01T00:30Z", {"recurrence": {"at": "00:00", "duration": "1h", "days_of_month": [1]}}, True),
        ("2026-03-02T00:30Z", {"recurrence": {"at": "00:00", "duration": "1h", "days_of_month": [1]}}, False),
        ("2026-03-04T12:00Z", {"recurrence": {"at": "00:00", "duration": "4d", "days_of_month": [1]}}, True),
        ("2026-03-02T00:30Z", {"recurrence": {"at": "00:00", "duration": "1h"}}, True),
        ("2026-03-02T00:30Z", {"recurrence": {"at": "00:00", "duration": "1h"}, "enabled": False}, False),
        (
            "2026-03-02T00:30Z",
            {"recurrence": {"at": "00:00", "duration": "1h"}, "ends_at": "2026-03-01"},
            False,
        ),
    ],
)
def test_a_window_is_open_at_its_times(moment: str, fields: dict[str, object], expected: bool) -> None:
    assert is_open(moment, **fields) is expected


def test_a_window_may_be_for_some_rules_only() -> None:
    body = {"name": "w", "rules": ["alert-1"], "recurrence": {"at": "00:00", "duration": "24h"}}
    windows = (window_of("window-1", validate(WindowBody, body)),)
    assert open_window(windows, "alert-1", 10**18) == "w"
    assert open_window(windows, "alert-2", 10**18) is None


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "body"),
        ({"starts_at": "2026-01-15T10:00Z"}, "body"),
        ({"starts_at": "2026-01-16", "ends_at": "2026-01-15"}, "body"),
        ({"starts_at": "now-5m", "ends_at": "2026-01-15"}, "starts_at"),
        ({"recurrence": {**WEEKLY, "time_zone": "Mars/Olympus"}}, "recurrence.time_zone"),
        ({"recurrence": {**WEEKLY, "weekdays": ["someday"]}}, "recurrence.weekdays"),
        ({"recurrence": {**WEEKLY, "duration": "0s"}}, "recurrence.duration"),
    ],
)
def test_a_wrong_window_is_refused(fields: dict[str, object], path: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        validate(WindowBody, {"name": "w", **fields})
    assert list(refused.value.problems) == [path]
