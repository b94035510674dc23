"""What the fields of a rule or a policy say together."""

from collections.abc import Callable
from typing import Any, Final

from alerts.durations import duration_ns
from alerts.request import PolicyBody, RuleBody
from alerts.rules_of_bodies import INTERVAL_NS_MIN, thresholds_of
from alerts.targets import still_masked
from core.errors import InvalidRequest
from query.times import UNIT_NS

WINDOW_NS_MAX: Final = 31 * UNIT_NS["d"]


def check_rule(body: RuleBody, problem_of_query: Callable[[str], str | None]) -> None:
    """What the fields say together. Raises InvalidRequest; `problem_of_query` gives what is wrong with a
    query.
    """
    problems: dict[str, str] = {}
    condition = body.condition
    for path, query in (("query", body.query), ("condition.of", condition.of)):
        if query is not None and (problem := problem_of_query(query)):
            problems[path] = problem
    window_ns = duration_ns(condition.window)
    if window_ns > WINDOW_NS_MAX:
        problems["condition.window"] = "must be at most 31 days"
    if body.interval is not None and duration_ns(body.interval) < INTERVAL_NS_MIN:
        problems["interval"] = "must be at least 1s"
    if condition.of is not None and condition.type != "percentage":
        problems["condition.of"] = "is for a condition of type percentage"
    if (condition.type == "new_value") != (condition.field is not None):
        problems["condition.field"] = (
            "missing: whose new values?"
            if condition.field is None
            else "is for a condition of type new_value"
        )
    problems |= _threshold_problems(body)
    problems |= _mask_problems("notifications", [t.model_dump(mode="json") for t in body.notifications])
    if problems:
        raise InvalidRequest(problems)


def check_policy(body: PolicyBody) -> None:
    """Raises InvalidRequest when a secret is missing."""
    problems: dict[str, str] = {}
    for index, step in enumerate(body.steps):
        problems |= _mask_problems(
            f"steps.{index}.targets", [t.model_dump(mode="json") for t in step.targets]
        )
    if problems:
        raise InvalidRequest(problems)


def _threshold_problems(body: RuleBody) -> dict[str, str]:
    condition, problems = body.condition, dict[str, str]()
    several = condition.thresholds is not None and bool(condition.thresholds.given())
    if several and condition.threshold is not None:
        return {"condition.threshold": "give either threshold or thresholds"}
    if not several and condition.threshold is None and condition.type != "new_value":
        return {"condition.threshold": "missing"}
    upwards = condition.operator in (">", ">=")
    thresholds = thresholds_of(body)
    if len(thresholds) > 1:
        if condition.operator == "==":
            problems["condition.thresholds"] = "== takes one threshold"
        elif (thresholds[0].value < thresholds[1].value) != upwards:
            problems["condition.thresholds"] = "critical must be further than warning"
    if condition.recovery_threshold is not None:
        if condition.operator == "==":
            problems["condition.recovery_threshold"] = "there is none for =="
        for each in thresholds:
            if each.recovery > each.value if upwards else each.recovery < each.value:
                side = "above" if upwards else "below"
                problems["condition.recovery_threshold"] = f"must not be {side} the threshold"
    return problems


def _mask_problems(path: str, targets: list[dict[str, Any]]) -> dict[str, str]:
    found = {f"{path}.{index}": still_masked(target) for index, target in enumerate(targets)}
    return {f"{where}.{name}": "is masked: give the secret itself" for where, name in found.items() if name}
