"""When a value is too much: which severity it reaches, and which one it has not yet left."""

import operator
from collections.abc import Callable
from typing import Final

from alerts.rule import Condition, Threshold

COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}
# The value that recovers stands on the other side of the recovery threshold, or, with one of its own, on it.


def level_reached(condition: Condition, value: float) -> int:
    """The rank of the highest severity whose threshold the value meets: 0 for none, 1 for the lowest."""
    meets = COMPARISONS[condition.operator]
    return max(
        (rank for rank, each in enumerate(condition.thresholds, 1) if meets(value, each.value)), default=0
    )


def level_kept(condition: Condition, value: float, level: int) -> int:
    """The rank that a group at `level` has with this value: hysteresis lets it go only past the recovery
    threshold.
    """
    held = 0
    for rank, threshold in enumerate(condition.thresholds[:level], 1):
        if not _recovered(condition, threshold, value):
            held = rank
    return max(level_reached(condition, value), held)


def _recovered(condition: Condition, threshold: Threshold, value: float) -> bool:
    meets = COMPARISONS[condition.operator]
    if meets(value, threshold.value):
        return False
    if threshold.recovery == threshold.value:
        return True
    # Beyond its own threshold a value recovers when it has come back as far as the recovery threshold.
    return value <= threshold.recovery if condition.operator in (">", ">=") else value >= threshold.recovery


def measured(condition: Condition, logs: int, total: int) -> float | None:
    """The value that is compared: of so many logs that match and, of a percentage, so many in the whole.

    None for a percentage of nothing.
    """
    if condition.kind == "rate":
        return logs * condition.per_ns / condition.window_ns
    if condition.kind == "percentage":
        return 100 * logs / total if total else None
    return float(logs)
