"""Maintenance windows: spans of time, once or again and again, in which nobody is told."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.rule import SECOND_NS


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """Once from `starts_at_ns` to `ends_at_ns`, or from `minute_of_day` on certain days for `duration_ns`.

    Without weekdays (0 is Monday) and days of the month, every day. `rules` are the ids that it is for;
    none: all.
    """

    id: str
    name: str
    rules: tuple[str, ...] = ()
    starts_at_ns: int | None = None
    ends_at_ns: int | None = None
    minute_of_day: int | None = None
    duration_ns: int = 0
    weekdays: tuple[int, ...] = ()
    days_of_month: tuple[int, ...] = ()
    time_zone: str = "UTC"
    enabled: bool = True

    def is_open(self, now_ns: int) -> bool:
        """Whether it is on at that moment."""
        if not self.enabled:
            return False
        if self.starts_at_ns is not None and now_ns < self.starts_at_ns:
            return False
        if self.ends_at_ns is not None and now_ns >= self.ends_at_ns:
            return False
        return self.minute_of_day is None or self._recurs_now(now_ns)

    def _recurs_now(self, now_ns: int) -> bool:
        zone = ZoneInfo(self.time_zone)
        now = datetime.fromtimestamp(now_ns // SECOND_NS, UTC)
        today = now.astimezone(zone).date()
        # One that began on an earlier day may still be on.
        days = self.duration_ns // (86_400 * SECOND_NS) + 1
        for back in range(days + 1):
            day = today - timedelta(days=back)
            if self._is_on(day):
                began_ns = self._begin_ns(day, zone)
                if began_ns <= now_ns < began_ns + self.duration_ns:
                    return True
        return False

    def _is_on(self, day: date) -> bool:
        if self.weekdays and day.weekday() not in self.weekdays:
            return False
        return not self.days_of_month or day.day in self.days_of_month

    def _begin_ns(self, day: date, zone: ZoneInfo) -> int:
        assert self.minute_of_day is not None
        hour, minute = divmod(self.minute_of_day, 60)
        begin = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
        return int(begin.timestamp()) * SECOND_NS


def open_window(windows: tuple[MaintenanceWindow, ...], rule_id: str, now_ns: int) -> str | None:
    """The name of the first window that is open for a rule."""
    for window in windows:
        if (not window.rules or rule_id in window.rules) and window.is_open(now_ns):
            return window.name
    return None
