"""Maintenance windows as people send them: once, or again and again on certain days."""

import re
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from alerts.durations import PositiveDuration, duration_ns
from alerts.maintenance import MaintenanceWindow
from alerts.request import Name
from alerts.validation import Body
from query.times import read_time

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class Recurrence(Body):
    """Every day, or on those days, from `at` on."""

    at: str
    duration: PositiveDuration
    weekdays: Annotated[tuple[str, ...], Field(max_length=7)] = ()
    days_of_month: Annotated[tuple[Annotated[int, Field(ge=1, le=31)], ...], Field(max_length=31)] = ()
    time_zone: str = "UTC"

    @field_validator("at")
    @classmethod
    def _time_of_day(cls, at: str) -> str:
        if not _TIME_OF_DAY.fullmatch(at):
            raise ValueError("must be a time of day as 22:30")
        return at

    @field_validator("weekdays")
    @classmethod
    def _known_days(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        short = tuple(day.lower()[:3] for day in days)
        if not set(short) <= set(WEEKDAYS):
            raise ValueError(f"must be of {', '.join(WEEKDAYS)}")
        return short

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError("must be a time zone as Europe/Zurich") from None
        return name


class WindowBody(Body):
    """POST and PUT of a maintenance window: `starts_at` and `ends_at`, or a recurrence (which they bound)."""

    name: Name
    enabled: bool = True
    rules: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    starts_at: str | None = None
    ends_at: str | None = None
    recurrence: Recurrence | None = None

    @field_validator("starts_at", "ends_at")
    @classmethod
    def _instant(cls, value: str | None) -> str | None:
        if value is not None and (value.startswith("now") or read_time(value, 0) is None):
            raise ValueError("must be a time as 2026-01-15T10:00:00Z")
        return value

    @model_validator(mode="after")
    def _some_time(self) -> Any:
        starts_at, ends_at = _instant_ns(self.starts_at), _instant_ns(self.ends_at)
        if self.recurrence is None and (starts_at is None or ends_at is None):
            raise ValueError("give a recurrence, or both starts_at and ends_at")
        if starts_at is not None and ends_at is not None and starts_at >= ends_at:
            raise ValueError("ends_at must be after starts_at")
        return self


def window_of(id_: str, body: WindowBody) -> MaintenanceWindow:
    """The window as it is carried out."""
    recurrence = body.recurrence
    window = MaintenanceWindow(
        id=id_,
        name=body.name,
        rules=body.rules,
        starts_at_ns=_instant_ns(body.starts_at),
        ends_at_ns=_instant_ns(body.ends_at),
        enabled=body.enabled,
    )
    if recurrence is None:
        return window
    hour, minute = recurrence.at.split(":")
    return MaintenanceWindow(
        id=window.id,
        name=window.name,
        rules=window.rules,
        starts_at_ns=window.starts_at_ns,
        ends_at_ns=window.ends_at_ns,
        enabled=window.enabled,
        minute_of_day=int(hour) * 60 + int(minute),
        duration_ns=duration_ns(recurrence.duration),
        weekdays=tuple(WEEKDAYS.index(day) for day in recurrence.weekdays),
        days_of_month=recurrence.days_of_month,
        time_zone=recurrence.time_zone,
    )


def _instant_ns(text: str | None) -> int | None:
    span = None if text is None else read_time(text, 0)
    return None if span is None else span.start_ns
