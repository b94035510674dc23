"""What the alert routes take: query parameters and the bodies of commands."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from alerts.durations import Duration, PositiveDuration

LIST_MAX: Final = 500
HISTORY_MAX: Final = 1000

READ_ONLY: Final = frozenset({
    "id", "state", "current_severity", "value", "since", "last_triggered", "last_evaluated",
    "last_notified", "error", "muted", "acknowledged", "groups", "more_groups", "created_at",
    "updated_at",
})  # fmt: skip


class Query(BaseModel):
    """Without keys of the client's own invention."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ListQuery(Query):
    """GET /api/v1/alerts."""

    state: Literal["ok", "alerting", "no_data", "error"] | None = None
    severity: Literal["warning", "critical"] | None = None
    enabled: bool | None = None
    muted: bool | None = None
    acknowledged: bool | None = None
    name: str | None = None  # a part of it, in any case
    label: str | None = None  # name, or name=value
    limit: Annotated[int, Field(ge=1, le=LIST_MAX)] = 100
    offset: Annotated[int, Field(ge=0)] = 0

    def fits(self, body: Mapping[str, Any]) -> bool:
        """Whether a rule is wanted, by what it is."""
        if self.enabled is not None and bool(body["enabled"]) != self.enabled:
            return False
        if self.name is not None and self.name.lower() not in str(body["name"]).lower():
            return False
        if self.label is not None:
            name, has_value, value = self.label.partition("=")
            labels = body["labels"]
            return name in labels and (not has_value or labels[name] == value)
        return True

    def state_fits(self, shown: Mapping[str, Any]) -> bool:
        """Whether it is, by its state."""
        if self.state is not None and shown["state"] != self.state:
            return False
        if self.severity is not None and shown["current_severity"] != self.severity:
            return False
        if self.muted is not None and (shown["muted"] is not None) != self.muted:
            return False
        return self.acknowledged is None or (shown["acknowledged"] is not None) == self.acknowledged


class LogsQuery(Query):
    """GET …/logs: those of a window, [from, to)."""

    from_: Annotated[str, Field(alias="from")]
    to: str
    group: str = ""
    limit: Annotated[int, Field(ge=1, le=HISTORY_MAX)] = 100


class HistoryQuery(Query):
    """GET …/history."""

    limit: Annotated[int, Field(ge=1, le=HISTORY_MAX)] = 100
    cursor: Annotated[str | None, Field(pattern=r"^\d{1,20}-.{1,100}$")] = None


class MuteBody(Query):
    """POST …/mute; without a duration until it is unmuted."""

    duration: PositiveDuration | None = None
    reason: Annotated[str, Field(max_length=1000)] = ""
    user: Annotated[str, Field(max_length=200)] = ""


class AcknowledgeBody(Query):
    """POST …/acknowledge: all groups that alert, or one; `until` is a time, or a duration from now on."""

    user: Annotated[str, Field(min_length=1, max_length=200)] = "api"
    until: str | None = None
    note: Annotated[str, Field(max_length=1000)] = ""
    group: str | None = None


class UserBody(Query):
    """POST …/unmute and …/unacknowledge."""

    user: Annotated[str, Field(max_length=200)] = ""
    group: str | None = None


class DurationBody(Query):
    """The other form of `until`."""

    until: Duration


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
