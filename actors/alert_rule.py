"""The actor of one alert rule: a small process that looks at its logs on a steady schedule.

It is given nothing when it is made: its name says which rule it is, the alert supervisor hands out the
rule, and the journal has its state. So it begins in the same way after any crash.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from actors.named import NamedActors
from actors.placement import ALERT_SUPERVISOR, actor_options, alert_rule_id, alert_rule_name, start_actor
from alerts.clickhouse_http import ClickHouseHttp
from alerts.order import RuleOrder
from alerts.runner import Runner
from alerts.schedule import SteadyClock
from alerts.state import state_to_json
from core.clock import Clock, SystemClock
from core.errors import LograyError, StorageError

CPUS: Final = 0.001  # it waits most of the time; a thousand of them take one CPU
CALLS_MAX: Final = 8
PAUSE_S_MIN: Final = 0.2  # after a failure of the store or without an order
PAUSE_S_MAX: Final = 5.0
ASK_WITHIN_S: Final = 10.0
COMMANDS_INTERVAL_S: Final = 30.0  # looked for without being told, should a word be lost

# Ray imports these into every worker that has them, to pickle what this one never sends: 45 MB a process.
UNUSED_MODULES: Final = ("pyarrow", "numpy", "pandas", "pydantic", "starlette", "fastapi")

log = logging.getLogger(__name__)

Fetch = Callable[[], Awaitable[RuleOrder | None]]
Wake = Callable[[], Awaitable[Any]]


class AlertRule:
    """Runs one rule for ever; `fetch` gets its order, `wake` tells the notifier. Constructed in a running
    event loop.
    """

    def __init__(self, fetch: Fetch, wake: Wake, clock: Clock) -> None:
        self._fetch, self._wake, self._clock = fetch, wake, clock
        self._runner: Runner | None = None
        self._order: RuleOrder | None = None
        self._poked = asyncio.Event()
        self._passed = asyncio.Condition()
        self._pokes = self._served = 0
        self._last_error = ""
        self._task = asyncio.create_task(self._run(), name="alert-rule")

    async def configure(self, order: RuleOrder) -> None:
        """Go on with this version of the rule."""
        self._order = order
        self._poked.set()

    async def poke(self) -> bool:
        """There are new commands; returns when they are carried out, False when the store is away."""
        self._pokes += 1
        mine = self._pokes
        self._poked.set()
        async with self._passed:
            await self._passed.wait_for(lambda: self._served >= mine)
        return not self._last_error

    async def state(self) -> str | None:
        """The state as JSON, also what is not written yet because nothing happened; None before it is
        known.
        """
        runner = self._runner
        return None if runner is None or runner.state is None else state_to_json(runner.state)

    async def observe(self) -> dict[str, Any]:
        """For people and the supervisor: what it evaluates, how late it was since the last call, what is
        wrong.
        """
        runner = self._runner
        if runner is None or runner.state is None:
            return {"state": "starting", "evaluations": 0, "failures": 0, "latest_s": 0.0,
                    "evaluated_until_ns": 0, "last_error": self._last_error}  # fmt: skip
        latest_s, runner.latest_s = runner.latest_s, 0.0
        return {
            "rule": runner.order.rule.name,
            "state": runner.state.status,
            "value": runner.state.worst.value,
            "evaluations": runner.evaluations,
            "failures": runner.failures,
            "latest_s": latest_s,
            "evaluated_until_ns": runner.state.evaluated_until_ns,
            "last_error": self._last_error,
        }

    async def close(self) -> None:
        """Stop."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause_s = PAUSE_S_MIN
        commands_at_s = 0.0
        clock = SteadyClock(self._clock)
        while True:
            serving, poked = self._pokes, self._pokes > self._served
            self._poked.clear()
            try:
                runner = await self._current(clock)
                now_s = self._clock.monotonic_s()
                look = poked or now_s >= commands_at_s
                told = await asyncio.to_thread(runner.run_due, look_for_commands=look)
                if look:
                    commands_at_s = now_s + COMMANDS_INTERVAL_S
                self._last_error, pause_s = "", PAUSE_S_MIN
                if told:
                    await self._tell()
                wait_s = (runner.next_ns() - clock.now_ns()) / 1e9
            except Exception as error:
                # Whatever it is, the rule goes on: from the last state that was written.
                if str(error) != self._last_error:
                    log.warning("cannot evaluate: %s", error, exc_info=not isinstance(error, LograyError))
                self._last_error = str(error) or type(error).__name__
                if not isinstance(error, StorageError):
                    self._runner = None
                wait_s, pause_s = pause_s, min(pause_s * 2, PAUSE_S_MAX)
                if poked:
                    commands_at_s = 0.0
            async with self._passed:
                self._served = serving
                self._passed.notify_all()
            await self._wait(wait_s)

    async def _current(self, clock: SteadyClock) -> Runner:
        if self._order is None:
            order = await self._fetch()
            if order is None:
                raise StorageError("the alert supervisor does not know this rule")
            self._order = self._order or order
        if self._runner is None:
            self._runner = Runner(self._order, ClickHouseHttp(self._order.store_url), clock)
        elif self._runner.order is not self._order:
            self._runner.take(self._order)
        return self._runner

    async def _tell(self) -> None:
        try:
            await self._wake()
        except (LograyError, RayError, TimeoutError) as error:
            log.info("the notifier will find the notice by itself: %s", error)

    async def _wait(self, seconds: float) -> None:
        waiting = [
            asyncio.ensure_future(self._poked.wait()),
            asyncio.ensure_future(self._clock.sleep(max(0.0, seconds))),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()


class AlertRuleActor(AlertRule):
    """The rule in a process of its own."""

    def __init__(self) -> None:
        for module in UNUSED_MODULES:
            # None makes its import fail as if it were not installed, which Ray is ready for; the stubs of
            # Python's library do not know that (docs.python.org, "The module cache").
            sys.modules.setdefault(module, None)  # type: ignore[arg-type]
        rule_id = alert_rule_id(ray.get_runtime_context().get_actor_name() or "")
        actors = NamedActors()

        async def fetch() -> RuleOrder | None:
            order: RuleOrder | None = await asyncio.wait_for(
                actors.ask(ALERT_SUPERVISOR, "order", rule_id), ASK_WITHIN_S
            )
            return order

        async def wake() -> None:
            await asyncio.wait_for(actors.ask(ALERT_SUPERVISOR, "told"), ASK_WITHIN_S)

        super().__init__(fetch, wake, SystemClock())

    async def observe(self) -> dict[str, Any]:
        """As AlertRule.observe, and where the process is."""
        said = await super().observe()
        return {**said, "pid": os.getpid(), "node": ray.get_runtime_context().get_node_id()}


def start_alert_rule(rule_id: str) -> "ActorHandle[Any]":
    """The rule's actor, started if there is none."""
    return start_actor(AlertRuleActor, actor_options(alert_rule_name(rule_id), CPUS, CALLS_MAX))
