"""All definitions put together: which rules there are, with their policies, statements and maintenance
windows.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from alerts.checks import check_rule
from alerts.clickhouse_http import StoreUrl
from alerts.compile import compile_rule, groupable
from alerts.definitions import Definition
from alerts.maintenance import MaintenanceWindow
from alerts.order import RuleOrder
from alerts.request import PolicyBody, RuleBody
from alerts.rule import EscalationPolicy, Rule
from alerts.rules_of_bodies import policy_of, rule_of
from alerts.validation import validate
from alerts.windows_request import WindowBody, window_of
from core.errors import InvalidRequest, LograyError, QuerySyntaxError
from core.settings import AlertSettings
from query.now import resolve_now
from query.parser import parse

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Book:
    """The orders of all rules that are to run, by id, and why others cannot."""

    orders: Mapping[str, RuleOrder] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


def open_book(
    definitions: Iterable[Definition], settings: AlertSettings, store_url: StoreUrl, earlier: Book
) -> Book:
    """Make the orders; one that has not changed is the same object as in the earlier book."""
    living = [each for each in definitions if not each.deleted]
    policies = {
        each.id: policy_of(each.id, validate(PolicyBody, each.body))
        for each in living
        if each.kind == "policy"
    }
    windows = tuple(
        window_of(each.id, validate(WindowBody, each.body)) for each in living if each.kind == "window"
    )
    orders: dict[str, RuleOrder] = {}
    problems: dict[str, str] = {}
    for each in living:
        if each.kind != "rule" or not each.body.get("enabled", True):
            continue
        try:
            order = _order(each, policies, windows, settings, store_url, earlier.orders.get(each.id))
        except LograyError as error:
            # It was valid when it was written: a later version of Logray reads it otherwise.
            problems[each.id] = str(error)
            if earlier.problems.get(each.id) != str(error):
                log.warning("cannot carry out the rule %s: %s", each.id, error)
            continue
        orders[each.id] = order
    return Book(orders, problems)


def read_rule(id_: str, body: RuleBody, policies: Mapping[str, EscalationPolicy]) -> Rule:
    """Check a rule as a whole and make it. Raises InvalidRequest with the paths of what is wrong."""
    problems: dict[str, str] = {}
    try:
        check_rule(body, problem_of_query)
    except InvalidRequest as error:
        problems |= error.problems
    for path, name in (("group_by", body.group_by), ("condition.field", body.condition.field)):
        if name is not None and not groupable(name):
            problems.setdefault(path, f"logs cannot be told apart by {name}")
    if body.escalation_policy is not None and body.escalation_policy not in policies:
        problems["escalation_policy"] = "there is no such policy"
    if problems:
        raise InvalidRequest(problems)
    return rule_of(id_, body, policies.get(body.escalation_policy or ""))


def problem_of_query(text: str) -> str | None:
    """Why a rule cannot have this query; None when it can."""
    try:
        query = parse(text)
    except QuerySyntaxError as error:
        return str(error)
    if resolve_now(query, 0) != query:
        return "cannot speak of now: the rule's window says which time is meant"
    return None


def _order(
    definition: Definition,
    policies: Mapping[str, EscalationPolicy],
    windows: tuple[MaintenanceWindow, ...],
    settings: AlertSettings,
    store_url: StoreUrl,
    earlier: RuleOrder | None,
) -> RuleOrder:
    body = validate(RuleBody, definition.body)
    rule = rule_of(definition.id, body, policies.get(body.escalation_policy or ""))
    maintenance = tuple(each for each in windows if not each.rules or rule.id in each.rules)
    if earlier is not None and (earlier.rule, earlier.maintenance) == (rule, maintenance):
        return earlier
    statements = compile_rule(rule)
    return RuleOrder(
        rule,
        statements,
        maintenance,
        store_url,
        settings.public_url,
        settings.history_days,
        settings.evaluation_timeout_s,
    )
