"""What one evaluation of a rule found."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reading:
    """One group in one window: the value (None for a percentage of nothing), and whether there was a log
    at all.
    """

    value: float | None
    empty: bool
    new_values: tuple[str, ...] = ()  # of new_value: the first of them


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One window, [from_ns, until_ns): the readings by group (`""` without grouping), or why there are none.

    `until_ns` is its identity: each window of a rule is applied once.
    """

    from_ns: int
    until_ns: int
    groups: Mapping[str, Reading] = field(default_factory=dict)
    error: str | None = None
    more_groups: bool = False  # than are looked at
