"""Rules and escalation policies as they are carried out, of bodies that were checked."""

from typing import Final

from alerts.durations import duration_ns
from alerts.request import PolicyBody, RuleBody, Severities
from alerts.rule import Condition, EscalationPolicy, EscalationStep, NoData, Rule, Threshold
from alerts.schedule import phase_of
from alerts.targets import target_of
from query.times import UNIT_NS

INTERVAL_NS_MIN: Final = UNIT_NS["s"]


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
            thresholds=thresholds_of(body),
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


def thresholds_of(body: RuleBody) -> tuple[Threshold, ...]:
    """Each severity's number and the one at which it has recovered, the lowest severity first."""
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
