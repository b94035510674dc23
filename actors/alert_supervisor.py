"""The alert supervisor: one actor for each rule, no more and no less, each watched and started again when
it hangs.

It alone has the query language: it compiles a rule once and hands the statements to the rule's actor. What
the rules are stands in ClickHouse; being told of a change only makes it look at once.

The rules' own processes look this class up in order to call it, so that this file must import nothing
large: the query language, pydantic and the notifier come in when the supervisor is made.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, RayError

from actors.alert_rule import start_alert_rule
from actors.ended_rules import EndedRules
from actors.metrics_reporter import MetricsReporter
from actors.placement import (
    ALERT_SUPERVISOR,
    NAMESPACE,
    actor_options,
    alert_rule_id,
    start_actor,
)
from actors.rule_actors import Post, ask_all, end, kill, rule_actor_names
from alerts.clickhouse_http import ClickHouseHttp, StoreUrl
from alerts.definitions import Definition, Definitions
from alerts.journal import Journal
from alerts.order import RuleOrder
from core.clock import Clock, SystemClock
from core.errors import LograyError
from core.metric_names import ALERT_EVALUATIONS, ALERT_LATENESS, ALERT_RULES
from core.metrics import Metrics, Snapshot

if TYPE_CHECKING:
    from pydantic import SecretStr

    from alerts.book import Book
    from core.settings import AlertSettings

CPUS: Final = 0.05
CALLS_MAX: Final = 400  # `order` of every rule's actor when all begin at once, and the API's questions
STORE_PAUSE_S: Final = 1.0
ANSWER_WITHIN_S: Final = 5.0  # of a rule's actor that runs
START_WITHIN_S: Final = 60.0  # of one that was just started
SILENCES_MAX: Final = 3  # questions in a row without an answer: then it hangs
RESTART_PAUSE_S_MIN: Final = 1.0
RESTART_PAUSE_S_MAX: Final = 60.0
CLOSED_AFTER_NS: Final = 24 * 3600 * 10**9  # deleted rules are looked at for so long, whether all is closed

log = logging.getLogger(__name__)


class AlertSupervisor:
    """Tends the rules' actors and the notifier; constructed in a running event loop."""

    def __init__(
        self, settings: "AlertSettings", store_url: StoreUrl, metrics: Metrics, clock: Clock
    ) -> None:
        from actors.notifier import start_notifier
        from alerts.book import Book, open_book

        self._open_book, self._start_notifier = open_book, start_notifier
        self._notifier: Any = None
        self._settings, self._store_url, self._metrics, self._clock = settings, store_url, metrics, clock
        store = ClickHouseHttp(store_url)
        self._definitions, self._book = Definitions(store), Book()
        journal = Journal(store, settings.history_days)
        self._ended = EndedRules(journal, lambda definitions: self._opened(definitions, Book()), clock)
        self._posts: dict[str, Post] = {}
        self._restarts: dict[str, tuple[float, float]] = {}  # not before, and the next pause
        self._last_error = "is starting"
        self._reading, self._deploying = asyncio.Lock(), asyncio.Lock()
        self._latest_s = 0.0
        self._tending = asyncio.create_task(self._tend_for_ever(), name="alert-supervisor")

    async def order(self, rule_id: str) -> RuleOrder | None:
        """What a rule's actor is to carry out; None when there is no such rule (any more)."""
        if rule_id not in self._book.orders:
            await self._read()
        return self._book.orders.get(rule_id)

    async def changed(self) -> dict[str, str]:
        """Definitions have changed: look at once. Returns what is wrong with rules, by id."""
        await self._read()
        await self._deploy()
        return dict(self._book.problems)

    async def poke(self, rule_id: str) -> bool:
        """There are commands to a rule; True when its actor has carried them out."""
        post = self._posts.get(rule_id)
        if post is None:
            return False
        try:
            return bool(await asyncio.wait_for(post.handle.poke.remote(), ANSWER_WITHIN_S))
        except (RayError, TimeoutError):
            return False  # it will find them when it is back

    async def told(self) -> None:
        """There are new notices in the journal: pass it on to the notifier, which looks by itself
        otherwise.
        """
        if self._notifier is not None:
            self._notifier.wake.remote()

    async def states(self, rule_ids: list[str], timeout_s: float) -> dict[str, str]:
        """The states (JSON) of those of these rules whose actors answer within that time."""
        # One that is starting has nothing to say that the journal has not.
        posts = {
            each: post for each in rule_ids if (post := self._posts.get(each)) is not None and post.heard
        }
        answers = await ask_all({each: post.handle for each, post in posts.items()}, "state", timeout_s)
        return {each: answer for each, answer in answers.items() if isinstance(answer, str)}

    async def observe(self) -> dict[str, Any]:
        """What runs, how late the latest evaluation was, and what is wrong."""
        return {
            "pid": os.getpid(),
            "rules": len(self._book.orders),
            "running": sum(post.heard for post in self._posts.values()),
            "latest_s": self._latest_s,
            "problems": dict(self._book.problems),
            "last_error": self._last_error,
        }

    async def snapshot(self) -> Snapshot:
        """The metrics of this process."""
        return self._metrics.snapshot()

    async def close(self) -> None:
        """Stop tending; the actors go on."""
        self._tending.cancel()
        await asyncio.gather(self._tending, return_exceptions=True)

    async def _tend_for_ever(self) -> None:
        while True:
            pause_s = self._settings.watch_interval_s
            try:
                self._notifier = await asyncio.to_thread(
                    self._start_notifier, self._store_url, self._settings
                )
                await self._read()
                await self._deploy()
                await self._watch()
                self._last_error = ""
            except (LograyError, RayError) as error:
                self._last_error, pause_s = str(error), STORE_PAUSE_S
                log.warning("cannot tend the alert rules: %s", error)
            except Exception as error:
                self._last_error = repr(error)
                log.exception("cannot tend the alert rules")
            await self._clock.sleep(pause_s)

    async def _read(self) -> None:
        async with self._reading:
            since = self._clock.now_ns() - CLOSED_AFTER_NS
            definitions = await asyncio.to_thread(self._definitions.all, None, since)
            self._book = self._opened(definitions, self._book)
            ended = self._ended.among(definitions)
            for rule_id in ended:
                post = self._posts.pop(rule_id, None)
                if post is not None:  # it must not write any more
                    await asyncio.to_thread(end, post.handle)
            await self._ended.close(ended, definitions)

    def _opened(self, definitions: Sequence[Definition], before: "Book") -> "Book":
        return self._open_book(definitions, self._settings, self._store_url, before)

    async def _deploy(self) -> None:
        """Start what is missing, end what is too much, hand out what has changed."""
        async with self._deploying:
            await self._deploy_alone()

    async def _deploy_alone(self) -> None:
        for rule_id in [each for each in self._posts if each not in self._book.orders]:
            await asyncio.to_thread(end, self._posts.pop(rule_id).handle)
            self._restarts.pop(rule_id, None)
        now_s = self._clock.monotonic_s()
        for rule_id, order in self._book.orders.items():
            post = self._posts.get(rule_id)
            if post is None:
                if now_s >= self._restarts.get(rule_id, (0.0, 0.0))[0]:
                    handle = await asyncio.to_thread(start_alert_rule, rule_id)
                    post = self._posts[rule_id] = Post(handle, order, now_s)
                    # One that had been running before this process has an earlier order, perhaps.
                    handle.configure.remote(order)
            elif post.order is not order:
                post.order = order
                post.handle.configure.remote(order)

    async def _watch(self) -> None:
        answers = await ask_all(
            {each: post.handle for each, post in self._posts.items()}, "observe", ANSWER_WITHIN_S
        )
        latest_s = 0.0
        for rule_id, answer in answers.items():
            post = self._posts.get(rule_id)
            if post is None:
                continue
            if isinstance(answer, dict):
                latest_s = max(latest_s, answer["latest_s"])
                self._heard(rule_id, post, answer)
            elif isinstance(answer, ActorDiedError):  # for good: Ray restarts all that it can
                self._lost(rule_id, "cannot run")
            else:
                post.silences += 1
                patience_over = post.heard or self._clock.monotonic_s() - post.started_at_s > START_WITHIN_S
                if post.silences >= SILENCES_MAX and patience_over:
                    log.warning("the actor of the rule %s does not answer: it is ended", rule_id)
                    post.silences = 0
                    await asyncio.to_thread(kill, post)
        self._latest_s = latest_s
        self._metrics.set(ALERT_LATENESS, latest_s)
        for status in ("ok", "alerting", "no_data", "error", "starting"):
            count = sum(post.status == status for post in self._posts.values())
            self._metrics.set(ALERT_RULES, count, (status,))
        await self._end_strays()

    def _heard(self, rule_id: str, post: Post, said: dict[str, Any]) -> None:
        post.heard, post.silences, post.pid = True, 0, said["pid"]
        post.node, post.status = said["node"], said["state"]
        self._restarts.pop(rule_id, None)
        for outcome, name in (("failed", "failures"), ("evaluated", "evaluations")):
            # An actor that was restarted counts from 0 again.
            before, now = getattr(post, name), int(said[name])
            self._metrics.count(ALERT_EVALUATIONS, now - before if now >= before else now, (outcome,))
            setattr(post, name, now)

    def _lost(self, rule_id: str, why: str) -> None:
        _, pause_s = self._restarts.get(rule_id, (0.0, RESTART_PAUSE_S_MIN))
        self._restarts[rule_id] = (self._clock.monotonic_s() + pause_s, min(pause_s * 2, RESTART_PAUSE_S_MAX))
        del self._posts[rule_id]
        log.warning("the actor of the rule %s %s: it is started again in %.0f s", rule_id, why, pause_s)

    async def _end_strays(self) -> None:
        """End actors of rules that are gone: this process may have died before it could."""
        for name in await asyncio.to_thread(rule_actor_names):
            rule_id = alert_rule_id(name)
            if rule_id not in self._book.orders and rule_id not in self._posts:
                with suppress(ValueError, RayError):
                    handle = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
                    await asyncio.to_thread(end, handle)


class AlertSupervisorActor(AlertSupervisor):
    """The alert supervisor in a process of its own."""

    def __init__(self, settings: "AlertSettings", store_url: str) -> None:
        clock = SystemClock()
        metrics = Metrics(clock)
        super().__init__(settings, StoreUrl(store_url), metrics, clock)
        self._reporting = asyncio.create_task(MetricsReporter(metrics, clock).run())


def start_alert_supervisor(settings: "AlertSettings", store_url: "SecretStr") -> "ActorHandle[Any]":
    """The alert supervisor's actor, started if there is none; it starts the notifier and the rules'
    actors.
    """
    options = actor_options(ALERT_SUPERVISOR, CPUS, CALLS_MAX)
    return start_actor(AlertSupervisorActor, options, settings, StoreUrl(store_url.get_secret_value()))
