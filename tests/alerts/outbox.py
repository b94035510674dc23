"""A notifier on a real journal, and notices to send."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from actors.notifier import Notifier
from alerts.journal import Journal
from alerts.machine import Notice
from alerts.rule import Target
from alerts.runner import notice_rows
from alerts.schedule import Window
from core.clock import SystemClock
from core.metrics import Metrics
from core.settings import AlertSettings
from tests.alerts.making import BEGIN_NS, MINUTE_NS, make_order, make_rule

SETTINGS = AlertSettings(allow_private_webhooks=True, attempt_timeout_s=0.5)
WINDOW = Window(BEGIN_NS - MINUTE_NS, BEGIN_NS)


@asynccontextmanager
async def running(journal: Journal, settings: AlertSettings = SETTINGS) -> AsyncIterator[Notifier]:
    notifier = Notifier(journal, settings, Metrics(SystemClock()), SystemClock(), lambda low, _: low)
    try:
        yield notifier
    finally:
        await notifier.close()


def webhook(url: str, id_: str = "webhook-1", **config: Any) -> Target:
    return Target(id_, "webhook", {"url": url, **config})


def write(
    journal: Journal, *targets: Target, kind: Any = "firing", number: int = 1, group: str = ""
) -> list[str]:
    """Write a notice to these targets into the journal, as a rule does; returns their keys."""
    rule = make_rule(targets=targets, group_by="host" if group else None)
    notice = Notice(kind, group, BEGIN_NS, number, "critical", 12.0, BEGIN_NS, targets)
    samples = [
        {"timestamp": "2024-01-15T10:00:00Z", "level": "error", "service": "api", "message": "<b>down</b>"}
    ]
    now_ns = SystemClock().now_ns()
    rows = notice_rows(journal, make_order(rule), notice, WINDOW, now_ns, samples, [])
    journal.write(rows)
    return [row["key"] for row in rows]


async def ended(journal: Journal, keys: list[str], within_s: float = 20) -> list[dict[str, Any]]:
    """What became of these notices, as soon as all are done with."""
    return await settled(journal, keys, lambda each: each["status"] in ("sent", "failed"), within_s)


async def settled(
    journal: Journal, keys: list[str], holds: Callable[[dict[str, Any]], bool], within_s: float = 20
) -> list[dict[str, Any]]:
    async with asyncio.timeout(within_s):
        while True:
            found = await asyncio.to_thread(journal.deliveries, "alert-1", keys)
            if len(found) == len(keys) and all(map(holds, found.values())):
                return [found[key] for key in keys]
            await asyncio.sleep(0.05)
