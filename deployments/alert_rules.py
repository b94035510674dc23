"""The alert rules that are kept, as every route below /api/v1/alerts reads and shows them."""

import asyncio
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from alerts.book import read_rule
from alerts.definitions import Definition, Definitions
from alerts.request import PolicyBody, RuleBody
from alerts.rule import EscalationPolicy, Rule
from alerts.rules_of_bodies import policy_of, rule_of
from alerts.shown import shown_rule
from alerts.validation import validate
from core.errors import NotFound
from deployments.alert_states import RuleStates
from deployments.answers import json_response


class AlertRules:
    """Definitions and states together."""

    def __init__(self, definitions: Definitions, states: RuleStates) -> None:
        self.definitions, self.states = definitions, states

    async def one(self, id_: str) -> Definition:
        """Raises NotFound."""
        kept = await asyncio.to_thread(self.definitions.one, "rule", id_)
        if kept is None:
            raise NotFound(f"there is no alert rule {id_[:100]}")
        return kept

    async def read(self, id_: str, sent: Any) -> tuple[RuleBody, Rule]:
        """A rule as somebody sends it. Raises InvalidRequest."""
        body = validate(RuleBody, sent)
        return body, read_rule(id_, body, await self._policies(body.escalation_policy))

    async def answer(self, definition: Definition, status: int = 200) -> Response:
        """The rule with its state."""
        rules = rules_by_id([definition])
        states = await self.states.newest(rules)
        return json_response(shown_rule(definition, rules[definition.id], states[definition.id]), status)

    async def _policies(self, id_: str | None) -> dict[str, EscalationPolicy]:
        if id_ is None:
            return {}
        kept = await asyncio.to_thread(self.definitions.one, "policy", id_)
        return {} if kept is None else {id_: policy_of(id_, validate(PolicyBody, kept.body))}


def rules_by_id(definitions: Iterable[Definition]) -> dict[str, Rule]:
    """Rules that were checked when they were written; without their escalation policies."""
    return {each.id: rule_of(each.id, validate(RuleBody, each.body), None) for each in definitions}
