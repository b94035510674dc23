"""A rule as those who carry it out see it: frozen, of plain values, and imported without any library.

Times and durations are nanoseconds. alerts.request makes these from what people send.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

ConditionKind = Literal["count", "rate", "percentage", "new_value"]
Operator = Literal[">", ">=", "<", "<=", "=="]
NoDataAction = Literal["no_data", "alerting", "ok", "keep"]
TimeBasis = Literal["ingest", "event"]

SEVERITIES: Final = ("warning", "critical")  # in the order of their rank, the lowest first
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Threshold:
    """The value from which on a severity holds, and the one that it must leave to end."""

    severity: str
    value: float
    recovery: float


@dataclass(frozen=True, slots=True)
class Condition:
    """What is measured over a window, and when that is too much: thresholds from the lowest severity on."""

    kind: ConditionKind
    operator: Operator
    thresholds: tuple[Threshold, ...]
    window_ns: int
    per_ns: int = SECOND_NS  # of a rate
    of: str | None = None  # of a percentage: the query of the whole; None for all logs
    field: str | None = None  # of new_value
    look_back_ns: int = 0  # of new_value


@dataclass(frozen=True, slots=True)
class NoData:
    """After so many windows in a row without a log, what becomes of the rule."""

    after: int
    action: NoDataAction


@dataclass(frozen=True, slots=True)
class Target:
    """Who is told: the kind of receiver, its address and secrets as they were given, and a name for it."""

    id: str
    kind: str
    config: Mapping[str, Any] = field(repr=False)  # it has secrets


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Tell these targets when nobody has acknowledged for that long since the step before."""

    delay_ns: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """Steps one after the other; after the last one they begin again, `repeats` times."""

    id: str
    name: str
    steps: tuple[EscalationStep, ...]
    repeats: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert rule, whole: what is asked, when, and who is told."""

    id: str
    name: str
    query: str
    condition: Condition
    interval_ns: int
    delay_ns: int
    phase_ns: int = 0  # of the grid of evaluations
    time: TimeBasis = "ingest"
    group_by: str | None = None
    fire_after: int = 1
    recover_after: int = 1
    cooldown_ns: int = 0
    repeat_ns: int | None = None
    no_data: NoData | None = None
    error_after: int = 3
    send_resolved: bool = True
    sample_logs: int = 5
    labels: Mapping[str, str] | None = None
    description: str = ""
    targets: tuple[Target, ...] = ()
    escalation: EscalationPolicy | None = None
