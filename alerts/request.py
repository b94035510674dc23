"""Alert rules and escalation policies as people send them."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from alerts.durations import Duration, PositiveDuration
from alerts.rule import SEVERITIES
from alerts.targets import TARGETS_MAX, AnyTarget
from alerts.validation import Body

NAME_CHARACTERS_MAX: Final = 200
LABELS_MAX: Final = 50
STEPS_MAX: Final = 20

_IN_WORDS = re.compile(
    r"\s*(count|rate|percentage|new_value)?\s*(>=|<=|==|=|>|<)\s*(-?\d+(?:\.\d+)?)\s*%?\s*"
)
_OPERATORS: Final = {
    "gt": ">",
    "gte": ">=",
    "ge": ">=",
    "lt": "<",
    "lte": "<=",
    "le": "<=",
    "eq": "==",
    "=": "==",
    "above": ">",
    "below": "<",
}
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Operator = Annotated[
    Literal[">", ">=", "<", "<=", "=="],
    BeforeValidator(lambda value: _OPERATORS.get(value, value) if isinstance(value, str) else value),
]


class Severities(Body):
    """A number for each severity, at least one."""

    warning: Number | None = None
    critical: Number | None = None

    def given(self) -> dict[str, float]:
        """Those that were given, the lowest severity first."""
        return {name: value for name in SEVERITIES if (value := getattr(self, name)) is not None}


class ConditionBody(Body):
    """What is measured, and when it is too much."""

    type: Literal["count", "rate", "percentage", "new_value"] = "count"
    operator: Operator = ">"
    threshold: Number | None = None
    thresholds: Severities | None = None
    recovery_threshold: Number | Severities | None = None
    window: PositiveDuration = "5m"
    per: Literal["second", "minute"] = "second"
    of: str | None = None
    field: Annotated[str | None, Field(min_length=1, max_length=512)] = None
    look_back: PositiveDuration = "1d"


class Consecutive(Body):
    """How many windows in a row it takes to fire, and to recover."""

    fire: Annotated[int, Field(ge=1, le=1000)] = 1
    recover: Annotated[int, Field(ge=1, le=1000)] = 1


class NoDataBody(Body):
    """After how many windows without a log what happens."""

    after: Annotated[int, Field(ge=1, le=10_000)] = 1
    action: Literal["no_data", "alerting", "ok", "keep"] = "no_data"


class RuleBody(Body):
    """POST and PUT of a rule."""

    name: Name
    description: Annotated[str, Field(max_length=5000)] = ""
    enabled: bool = True
    query: str
    condition: ConditionBody
    severity: Literal["warning", "critical"] = "critical"
    group_by: Annotated[str | None, Field(min_length=1, max_length=512)] = None
    interval: PositiveDuration | None = None
    delay: Duration = "5s"
    time: Literal["ingest", "event"] = "ingest"
    consecutive: Consecutive = Consecutive()
    cooldown: Duration = "0s"
    repeat: PositiveDuration | None = None
    no_data: NoDataBody | None = None
    error_after: Annotated[int, Field(ge=1, le=10_000)] = 3
    send_resolved: bool = True
    sample_logs: Annotated[int, Field(ge=0, le=20)] = 5
    labels: Annotated[dict[str, str], Field(max_length=LABELS_MAX)] = Field(default_factory=dict)
    notifications: Annotated[tuple[AnyTarget, ...], Field(max_length=TARGETS_MAX)] = ()
    escalation_policy: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_people_write_it(cls, value: Any) -> Any:
        """`"condition": "count > 10"`, a threshold or window beside the condition, `consecutive: 3`."""
        if not isinstance(value, Mapping):
            return value
        body = dict(value)
        condition = body.get("condition", {})
        if isinstance(condition, str):
            match = _IN_WORDS.fullmatch(condition)
            if match is None:
                raise ValueError("condition: write it as count > 10, or as an object")
            condition = {"type": match[1] or "count", "operator": match[2], "threshold": float(match[3])}
        if isinstance(condition, Mapping):
            beside = {name: body.pop(name) for name in ("threshold", "operator", "window") if name in body}
            if condition or beside:
                body["condition"] = {**beside, **condition}
        if isinstance(body.get("consecutive"), int) and not isinstance(body["consecutive"], bool):
            body["consecutive"] = {"fire": body["consecutive"]}
        return body


class StepBody(Body):
    """Tell these when nobody has acknowledged for that long."""

    delay: Duration
    targets: Annotated[tuple[AnyTarget, ...], Field(min_length=1, max_length=TARGETS_MAX)]


class PolicyBody(Body):
    """POST and PUT of an escalation policy."""

    name: Name
    steps: Annotated[tuple[StepBody, ...], Field(min_length=1, max_length=STEPS_MAX)]
    repeat: Annotated[int, Field(ge=0, le=100)] = 0
