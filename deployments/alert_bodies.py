"""What the alert routes take: query parameters and the bodies of commands."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from alerts.request import Duration, PositiveDuration

LIST_MAX: Final = 500
HISTORY_MAX: Final = 1000


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
