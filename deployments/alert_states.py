"""The newest state of alert rules: from their actors where these are further than the journal."""

import asyncio
from collections.abc import Mapping
from typing import Final

from actors.named import Actors
from actors.placement import ALERT_SUPERVISOR
from alerts.commands import apply_command
from alerts.journal import Journal
from alerts.rule import Rule
from alerts.state import RuleState, state_from_json
from core.errors import LograyError

SUPERVISOR_WITHIN_S: Final = 8.0  # to be told; it looks by itself otherwise
LIVE_MAX: Final = 100  # rules whose actors are asked; of more at once the journal knows enough
STATES_WITHIN_S: Final = 1.0  # of the rules' actors; the journal's states are at most 30 s old


class RuleStates:
    """Reads states; all commands that were given are carried out in them."""

    def __init__(self, journal: Journal, actors: Actors) -> None:
        self._journal, self._actors = journal, actors

    async def newest(self, rules: Mapping[str, Rule]) -> dict[str, RuleState]:
        """By the rules' ids."""
        if not rules:
            return {}
        ids = list(rules)
        kept, live = await asyncio.gather(asyncio.to_thread(self._journal.states, ids), self._live(ids))
        states = {each: kept.get(each, RuleState()) for each in ids}
        for id_, state in live.items():
            if (state.revision, state.evaluated_until_ns) >= (
                states[id_].revision,
                states[id_].evaluated_until_ns,
            ):
                states[id_] = state
        after = {id_: state.commands_until for id_, state in states.items()}
        for id_, commands in (await asyncio.to_thread(self._journal.commands, after)).items():
            for command in commands:
                states[id_] = apply_command(rules[id_], states[id_], command).state
        return states

    async def _live(self, ids: list[str]) -> dict[str, RuleState]:
        if len(ids) > LIVE_MAX:
            return {}
        try:
            answer = self._actors.ask(ALERT_SUPERVISOR, "states", ids, STATES_WITHIN_S)
            found = await asyncio.wait_for(answer, STATES_WITHIN_S * 2)
        except (LograyError, TimeoutError):
            return {}
        return {id_: state_from_json(text) for id_, text in found.items()}
