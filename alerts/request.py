"""Rules, escalation policies and maintenance windows as people send them; wrong fields are named by their
paths.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from alerts.rule import (
    SEVERITIES,
    Condition,
    EscalationPolicy,
    EscalationStep,
    NoData,
    Rule,
    Threshold,
)
from alerts.schedule import phase_of
from alerts.targets import KINDS, TARGETS_MAX, AnyTarget, still_masked, target_of
from core.errors import InvalidRequest
from query.times import UNIT_NS

NAME_CHARACTERS_MAX: Final = 200
LABELS_MAX: Final = 50
INTERVAL_NS_MIN: Final = UNIT_NS["s"]
WINDOW_NS_MAX: Final = 31 * UNIT_NS["d"]
STEPS_MAX: Final = 20

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|sec|m|min|h|d|w)", re.ASCII)
_UNITS: Final = {"sec": "s", "min": "m"}
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
_REASONS: Final = {
    "extra_forbidden": "unknown key",
    "missing": "missing",
    "string_type": "must be text",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "must not be empty",
    "tuple_type": "must be a list",
    "union_tag_not_found": "must have a type: slack, pagerduty, webhook or email",
    "union_tag_invalid": "type must be slack, pagerduty, webhook or email",
}

Model = TypeVar("Model", bound=BaseModel)


def duration_ns(value: str) -> int:
    """The length of a duration that was validated, in ns."""
    match = _DURATION.fullmatch(value)
    assert match, "the validator lets nothing else through"
    return round(float(match[1]) * UNIT_NS[_UNITS.get(match[2], match[2])])


def _duration(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = f"{value:g}s" if value < 1e9 else "?"
    if not isinstance(value, str) or not _DURATION.fullmatch(value.strip()):
        raise ValueError("must be a duration: 30s, 5m, 1h, 7d or a number of seconds")
    if duration_ns(value.strip()) > 400 * UNIT_NS["d"]:
        raise ValueError("must be at most 400 days")
    return value.strip()


def _positive(value: str) -> str:
    if duration_ns(value) <= 0:
        raise ValueError("must be more than 0")
    return value


Duration = Annotated[str, BeforeValidator(_duration)]
PositiveDuration = Annotated[str, BeforeValidator(lambda value: _positive(_duration(value)))]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Operator = Annotated[
    Literal[">", ">=", "<", "<=", "=="],
    BeforeValidator(lambda value: _OPERATORS.get(value, value) if isinstance(value, str) else value),
]


class Body(BaseModel):
    """A frozen body without keys of the client's own invention."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    labels: Annotated[dict[str, str], Field(max_length=LABELS_MAX)] = {}
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


def validate(model: type[Model], body: object) -> Model:
    """The model that a decoded JSON body holds. Raises InvalidRequest with the path of each wrong field."""
    if not isinstance(body, Mapping):
        raise InvalidRequest({"body": "must be a JSON object"})
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest(_problems(error)) from None


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


def rule_of(id_: str, body: RuleBody, policy: EscalationPolicy | None) -> Rule:
    """The rule as it is carried out; the body was checked."""
    condition = body.condition
    window_ns = duration_ns(condition.window)
    interval_ns = duration_ns(body.interval) if body.interval else min(window_ns, UNIT_NS["m"])
    interval_ns = max(interval_ns, INTERVAL_NS_MIN)
    return Rule(
        id=id_,
        name=body.name,
        description=body.description,
        query=body.query,
        condition=Condition(
            kind=condition.type,
            operator=condition.operator,
            thresholds=_thresholds(body),
            window_ns=window_ns,
            per_ns=UNIT_NS["s" if condition.per == "second" else "m"],
            of=condition.of,
            field=condition.field,
            look_back_ns=duration_ns(condition.look_back),
        ),
        interval_ns=interval_ns,
        phase_ns=phase_of(id_, interval_ns),
        delay_ns=duration_ns(body.delay),
        time=body.time,
        group_by=body.group_by,
        fire_after=body.consecutive.fire,
        recover_after=body.consecutive.recover,
        cooldown_ns=duration_ns(body.cooldown),
        repeat_ns=None if body.repeat is None else duration_ns(body.repeat),
        no_data=None if body.no_data is None else NoData(body.no_data.after, body.no_data.action),
        error_after=body.error_after,
        send_resolved=body.send_resolved,
        sample_logs=body.sample_logs,
        labels=body.labels,
        targets=tuple(target_of(each, f"rule-{index}") for index, each in enumerate(body.notifications)),
        escalation=policy,
    )


def policy_of(id_: str, body: PolicyBody) -> EscalationPolicy:
    """The policy as it is carried out."""
    steps = tuple(
        EscalationStep(
            duration_ns(step.delay),
            tuple(target_of(each, f"{id_}-{place}-{index}") for index, each in enumerate(step.targets)),
        )
        for place, step in enumerate(body.steps)
    )
    return EscalationPolicy(id_, body.name, steps, body.repeat)


def _thresholds(body: RuleBody) -> tuple[Threshold, ...]:
    condition = body.condition
    given = condition.thresholds.given() if condition.thresholds else {}
    if not given:
        # A new value is one too many.
        given = {body.severity: 0.0 if condition.threshold is None else condition.threshold}
    recovery = condition.recovery_threshold
    recoveries = recovery.given() if isinstance(recovery, Severities) else {}
    alone = recovery if isinstance(recovery, float) else None
    return tuple(
        Threshold(name, value, recoveries.get(name, value if alone is None else alone))
        for name, value in given.items()
    )


def _threshold_problems(body: RuleBody) -> dict[str, str]:
    condition, problems = body.condition, dict[str, str]()
    several = condition.thresholds is not None and bool(condition.thresholds.given())
    if several and condition.threshold is not None:
        return {"condition.threshold": "give either threshold or thresholds"}
    if not several and condition.threshold is None and condition.type != "new_value":
        return {"condition.threshold": "missing"}
    upwards = condition.operator in (">", ">=")
    thresholds = _thresholds(body)
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


def _problems(error: ValidationError) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in error.errors(include_url=False, include_input=False):
        # pydantic puts the kind of a target and the members of a union into the path.
        parts = [
            str(part)
            for index, part in enumerate(each["loc"])
            if not (part in KINDS and index and isinstance(each["loc"][index - 1], int))
            and not str(part).startswith(("Severities", "float", "constrained-", "function-"))
        ]
        message = (
            each["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("should be", "must be")
        )
        path = ".".join(parts) or "body"
        if each["type"] == "too_short" and any(other.startswith(f"{path}.") for other in found):
            continue  # too short without the wrong one, which is named already
        found.setdefault(path, _REASONS.get(each["type"], message))
    return found
