"""The notifier: sends what stands in the journal, each notice until it is sent or given up, each receiver
by itself.

The journal is its outbox. It is told when there is something new, and looks by itself now and then; what
is not done with is found again after a crash. One that is killed between sending and writing that down sends
again, with the same idempotency key; to Slack, which knows none, with a word that it may be a repetition.
"""

import asyncio
import logging
import os
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from ray.actor import ActorHandle

from actors.metrics_reporter import MetricsReporter
from actors.placement import NOTIFIER, actor_options, start_actor
from alerts.clickhouse_http import ClickHouseHttp, StoreUrl
from alerts.journal import PENDING_MAX, Journal, Line
from alerts.outgoing import HttpMessage, Mail, NotConfigured
from alerts.render_email import email_message
from alerts.render_pagerduty import pagerduty_message
from alerts.render_slack import slack_message
from alerts.render_webhook import webhook_message
from alerts.retry import RETRY_AFTER_S_MAX, Outcome, pause_s
from alerts.sending import Sender
from core.clock import Clock, SystemClock
from core.errors import StorageError
from core.metric_names import ALERT_NOTICES
from core.metrics import Metrics, Snapshot
from core.settings import AlertSettings

CPUS: Final = 0.05
CALLS_MAX: Final = 200  # `wake` of every rule's actor, which takes no time, and `observe`
LOOK_INTERVAL_S: Final = 5.0  # without being told
STORE_PAUSE_S: Final = 1.0  # after the store was away
OVERLAP_NS: Final = 600 * 10**9  # a notice is seen within this time of its writing, by whatever replica
SENDINGS_MAX: Final = 256  # at once: dozens of receivers may hang and the others not notice
SENDINGS_PER_RECEIVER_MAX: Final = 4  # at once to one receiver: a slow one holds no more places than these
WAITING_MAX: Final = 50_000  # notices in memory; further ones stay in the journal
DONE_REMEMBERED: Final = 100_000  # keys of notices that are done with and may be seen once more

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NotifierState:
    """How many notices wait, are in the air, and what became of the others since the start."""

    waiting: int
    sending: int
    sent: int
    failed: int
    last_error: str


class Notifier:
    """Delivers the notices of all rules; constructed in a running event loop."""

    def __init__(
        self,
        journal: Journal,
        settings: AlertSettings,
        metrics: Metrics,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._journal, self._settings, self._metrics, self._clock = journal, settings, metrics, clock
        self._uniform = uniform
        self._sender = Sender(settings, clock)
        self._awake = asyncio.Event()
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._queues: dict[str, list[Line]] = {}
        self._known: set[str] = set()
        self._done: OrderedDict[str, None] = OrderedDict()
        self._earlier: dict[str, dict[str, Any]] | None = None  # of an earlier notifier; not read yet
        self._places = asyncio.Semaphore(SENDINGS_MAX)
        self._receivers: dict[str, asyncio.Semaphore] = {}
        self._sending = self._sent = self._failed = 0
        self._last_error = ""
        self._looking = asyncio.create_task(self._look_for_ever(), name="notifier")

    async def wake(self) -> None:
        """There is something new in the journal."""
        self._awake.set()

    async def observe(self) -> dict[str, Any]:
        """The numbers of this moment."""
        waiting = len(self._known) - self._sending
        state = NotifierState(waiting, self._sending, self._sent, self._failed, self._last_error)
        return {"pid": os.getpid(), **asdict(state)}

    async def snapshot(self) -> Snapshot:
        """The metrics of this process."""
        return self._metrics.snapshot()

    async def close(self) -> None:
        """Stop; what was not delivered stays in the journal."""
        tasks = [self._looking, *self._lanes.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.close()

    async def _look_for_ever(self) -> None:
        # Whatever is not given up yet may still have to be sent; after that only what is new.
        since_ns = self._clock.now_ns() - int(self._settings.give_up_after_s * 1e9) - OVERLAP_NS
        while True:
            self._awake.clear()
            try:
                began_ns = self._clock.now_ns()
                if await self._look(since_ns):
                    since_ns = max(since_ns, began_ns - OVERLAP_NS)
                self._last_error = ""
            except StorageError as error:
                self._last_error = str(error)
                log.warning("cannot look for notices: %s", error)
                await self._clock.sleep(STORE_PAUSE_S)
                continue
            await self._wait()

    async def _look(self, since_ns: int) -> bool:
        """Take what waits in the journal; False when there is more than can be held."""
        if self._earlier is None:
            self._earlier = await asyncio.to_thread(self._journal.unfinished, since_ns)
        after: tuple[int, str] | None = None
        while len(self._known) < WAITING_MAX:
            notices = await asyncio.to_thread(self._journal.pending_notices, since_ns, after)
            for notice in notices:
                self._take(notice)
            if len(notices) < PENDING_MAX:
                return True
            after = (notices[-1].at_ns, notices[-1].key)
        return False

    async def _wait(self) -> None:
        waiting = [
            asyncio.ensure_future(self._awake.wait()),
            asyncio.ensure_future(self._clock.sleep(LOOK_INTERVAL_S)),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def _take(self, notice: Line) -> None:
        if notice.key in self._known or notice.key in self._done:
            return
        self._known.add(notice.key)
        # What one receiver hears of one group stays in order: no end before its beginning.
        lane = f"{notice.body['target']['id']} {notice.body['content']['rule']['id']} {notice.group}"
        self._queues.setdefault(lane, []).append(notice)
        if lane not in self._lanes:
            self._lanes[lane] = asyncio.create_task(self._run_lane(lane))

    async def _run_lane(self, lane: str) -> None:
        try:
            while self._queues[lane]:
                notice = self._queues[lane].pop(0)
                await self._deliver(notice)
                self._known.discard(notice.key)
                self._done[notice.key] = None
                while len(self._done) > DONE_REMEMBERED:
                    self._done.popitem(last=False)
        finally:
            del self._lanes[lane], self._queues[lane]

    async def _deliver(self, notice: Line) -> None:
        """Try until it is sent, refused for good, or too old."""
        earlier = (self._earlier or {}).pop(notice.key, {})
        attempts, in_doubt = int(earlier.get("attempts", 0)), bool(earlier.get("in_doubt", False))
        give_up_ns = notice.at_ns + int(self._settings.give_up_after_s * 1e9)
        left_s = (int(earlier.get("next_attempt_at_ns", 0)) - self._clock.now_ns()) / 1e9
        if left_s > 0:  # what the receiver asked for is kept over a restart
            await self._clock.sleep(min(left_s, RETRY_AFTER_S_MAX))
        while True:
            attempts += 1
            outcome = await self._attempt(notice, attempts, in_doubt)
            in_doubt = in_doubt or outcome.in_doubt
            now_ns = self._clock.now_ns()
            pause = pause_s(attempts, outcome.retry_after_s, self._uniform)
            if outcome.kind == "retry" and now_ns + int(pause * 1e9) >= give_up_ns:
                outcome = Outcome("failed", f"given up after {attempts} attempts: {outcome.reason}")
            body: dict[str, Any] = {"status": outcome.kind, "reason": outcome.reason, "attempts": attempts}
            if outcome.kind == "retry":
                body |= {"next_attempt_at_ns": now_ns + int(pause * 1e9), "in_doubt": in_doubt}
            await self._record(notice, body, now_ns, done=outcome.kind != "retry")
            if outcome.kind != "retry":
                self._count(notice, outcome)
                return
            log.info("notice %s will be tried again in %.1f s: %s", notice.key, pause, outcome.reason)
            await self._clock.sleep(pause)

    async def _attempt(self, notice: Line, number: int, in_doubt: bool) -> Outcome:
        try:
            message = self._message(notice, in_doubt)
        except NotConfigured as error:
            return Outcome("failed", str(error))
        except Exception:  # a bug in one notice must not stop those behind it: the history says failed
            log.exception("cannot write the notice %s", notice.key)
            return Outcome("failed", "the notice cannot be written: see the notifier's log")
        receiver = self._receivers.setdefault(
            _receiver(message), asyncio.Semaphore(SENDINGS_PER_RECEIVER_MAX)
        )
        async with receiver, self._places:
            self._sending += 1
            try:
                if notice.body["target"]["kind"] == "slack":
                    # Should this process end before the answer is written down, the next one knows of it.
                    begun = {"status": "sending", "reason": "", "attempts": number, "in_doubt": True}
                    await self._record(notice, begun, self._clock.now_ns(), done=False)
                return await self._sender.send(message)
            finally:
                self._sending -= 1

    def _message(self, notice: Line, in_doubt: bool) -> HttpMessage | Mail:
        content, target = notice.body["content"], notice.body["target"]
        config, now_s = target["config"], self._clock.now_ns() / 1e9
        match target["kind"]:
            case "slack":
                return slack_message(content, config, self._settings, repeated=in_doubt)
            case "pagerduty":
                return pagerduty_message(content, config, self._settings)
            case "email":
                return email_message(notice.key, content, config, self._settings, now_s)
        assert target["kind"] == "webhook", target["kind"]
        return webhook_message(notice.key, content, config, int(now_s))

    async def _record(self, notice: Line, body: dict[str, Any], at_ns: int, *, done: bool) -> None:
        """Write down what came of it, however long the store is away: otherwise it would be sent again."""
        rule_id = notice.body["content"]["rule"]["id"]
        row = self._journal.delivery_row(rule_id, notice.key, notice.group, body, at_ns, done=done)
        while True:
            try:
                await asyncio.to_thread(self._journal.write, [row])
                return
            except StorageError as error:
                self._last_error = str(error)
                if not done:  # said again with the next attempt
                    return
                log.warning("cannot write down what became of the notice %s: %s", notice.key, error)
                await self._clock.sleep(STORE_PAUSE_S)

    def _count(self, notice: Line, outcome: Outcome) -> None:
        kind = notice.body["target"]["kind"]
        self._metrics.count(ALERT_NOTICES, 1, (kind, outcome.kind))
        if outcome.kind == "sent":
            self._sent += 1
        else:
            self._failed += 1
            log.warning("a notice to %s was not sent: %s", kind, outcome.reason)


def _receiver(message: HttpMessage | Mail) -> str:
    if isinstance(message, Mail):
        return "smtp"
    scheme, _, rest = message.url.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}"


class NotifierActor(Notifier):
    """The notifier in a process of its own."""

    def __init__(self, store_url: str, settings: AlertSettings) -> None:
        clock = SystemClock()
        metrics = Metrics(clock)
        journal = Journal(ClickHouseHttp(store_url), settings.history_days)
        super().__init__(journal, settings, metrics, clock)
        self._reporting = asyncio.create_task(MetricsReporter(metrics, clock).run())


def start_notifier(store_url: StoreUrl, settings: AlertSettings) -> "ActorHandle[Any]":
    """The notifier's actor, started if there is none."""
    return start_actor(NotifierActor, actor_options(NOTIFIER, CPUS, CALLS_MAX), store_url, settings)
