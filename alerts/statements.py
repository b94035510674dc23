"""The statements of a rule, compiled once, and what running them for a window gives."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from alerts.condition import measured
from alerts.evaluation import Evaluation, Reading
from alerts.journal import Store
from alerts.rule import Rule
from alerts.schedule import Window
from core.errors import StorageError, StorageUnavailable
from core.packed_fields import unpack_fields

GROUPS_MAX: Final = (
    1000  # of one rule, the largest of a window; further ones are not looked at, and that is said
)
TIMEOUT_EXCEEDED: Final = 159
VALUE_CHARACTERS_MAX: Final = 2000  # of one field of a sample log in a notice


@dataclass(frozen=True, slots=True)
class RuleStatements:
    """SQL with places for the window (`from_ns`, `until_ns`, `look_back_ns`), and the query's own values,
    encoded.

    `count` gives rows of g, n, total and (of new_value) v; `samples` the newest logs of the group `group`.
    """

    count: str
    samples: str
    parameters: Mapping[str, Any]


def evaluate(
    store: Store, rule: Rule, statements: RuleStatements, window: Window, timeout_s: float
) -> Evaluation:
    """Look at one window. A query that fails is an evaluation too; raises StorageUnavailable when it may
    work later.
    """
    parameters = {**statements.parameters, **_bounds(rule, window)}
    try:
        rows = store.select(statements.count, parameters, timeout_s)
    except StorageUnavailable:
        raise
    except StorageError as error:
        reason = str(error)
        if error.code == TIMEOUT_EXCEEDED:
            reason = f"the query took longer than {timeout_s:g} s"
        return Evaluation(window.from_ns, window.until_ns, error=reason)
    groups = {str(row["g"]): _reading(rule, row) for row in rows[:GROUPS_MAX]}
    if rule.group_by is None and not groups:
        groups[""] = Reading(measured(rule.condition, 0, 0), empty=True)
    return Evaluation(window.from_ns, window.until_ns, groups, more_groups=len(rows) > GROUPS_MAX)


def sample_logs(
    store: Store,
    rule: Rule,
    statements: RuleStatements,
    window: Window,
    group: str,
    timeout_s: float,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """The newest logs of a window that the rule counts, as flat objects: as many as it shows in a notice."""
    limit = rule.sample_logs if limit is None else limit
    if not limit:
        return []
    parameters = {**statements.parameters, **_bounds(rule, window), "group": group, "limit": limit}
    return [_log(row) for row in store.select(statements.samples, parameters, timeout_s)]


def _bounds(rule: Rule, window: Window) -> dict[str, int]:
    return {
        "from_ns": window.from_ns,
        "until_ns": window.until_ns,
        "look_back_ns": window.from_ns - rule.condition.look_back_ns,
    }


def _reading(rule: Rule, row: Mapping[str, Any]) -> Reading:
    logs, total = int(row["n"]), int(row["total"])
    empty = total == 0
    return Reading(measured(rule.condition, logs, total), empty, tuple(map(str, row["v"])))


def _log(row: Mapping[str, Any]) -> dict[str, Any]:
    log: dict[str, Any] = {"_id": f"{row['timestamp_ns']:016x}-{row['seq']:016x}", "timestamp": row["time"]}
    log |= {name: _cut(row[name]) for name in ("level", "service", "message") if row[name]}
    for name, text in unpack_fields(row["fields"]).items():
        if name not in log:
            log[name] = _value(text)
    return log


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return (
        _cut(value) if isinstance(value, str) else value if len(text) <= VALUE_CHARACTERS_MAX else _cut(text)
    )


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[: VALUE_CHARACTERS_MAX - 1] + "…"
