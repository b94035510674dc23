"""Rules, logs and clocks for the tests of alerting."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson
import pyarrow as pa

from alerts.clickhouse_http import StoreUrl
from alerts.compile import compile_rule
from alerts.evaluation import Evaluation, Reading
from alerts.order import RuleOrder
from alerts.rule import SECOND_NS, Condition, Rule, Target, Threshold
from core.packed_fields import pack_fields
from storage.clickhouse import ClickHouse
from storage.log_table import LOGS_SCHEMA, insert_logs

# Not long ago, since the journal forgets; a multiple of every interval that is used.
BEGIN_NS = int(time.time()) // 1200 * 1200 * SECOND_NS
MINUTE_NS = 60 * SECOND_NS
WEBHOOK = Target("webhook-1", "webhook", {"url": "http://127.0.0.1:1/"})


class MovedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ns: int = BEGIN_NS) -> None:
        self.at_ns = now_ns

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_s(self) -> float:
        return self.at_ns / 1e9

    async def sleep(self, seconds: float) -> None:
        self.at_ns += int(seconds * 1e9)
        await asyncio.sleep(0)


def make_rule(
    operator: str = ">",
    threshold: float = 10,
    *,
    recovery: float | None = None,
    warning: float | None = None,
    kind: Any = "count",
    window_s: int = 60,
    interval_s: int = 10,
    condition: dict[str, Any] | None = None,
    **fields: Any,
) -> Rule:
    """A rule that looks every 10 s at a minute of errors, and tells a webhook."""
    thresholds = [Threshold("critical", threshold, threshold if recovery is None else recovery)]
    if warning is not None:
        thresholds.insert(0, Threshold("warning", warning, warning))
    measured: Any = operator
    made = Condition(kind, measured, tuple(thresholds), window_s * SECOND_NS, **(condition or {}))
    rule = Rule(
        id="alert-1",
        name="Errors",
        query="level:error",
        condition=made,
        interval_ns=interval_s * SECOND_NS,
        delay_ns=0,
        targets=(WEBHOOK,),
    )
    return replace(rule, **fields)


def window_of(until_ns: int, value: float | None, *, empty: bool = False, group: str = "") -> Evaluation:
    """An evaluation that found that value."""
    return Evaluation(until_ns - MINUTE_NS, until_ns, {group: Reading(value, empty)})


def make_order(rule: Rule, store_url: str = "http://127.0.0.1:1/x", **fields: Any) -> RuleOrder:
    """The order of a rule."""
    order = RuleOrder(rule, compile_rule(rule), (), StoreUrl(store_url), "http://logray.example", 90, 30.0)
    return replace(order, **fields)


_seq = iter(range(1, 1 << 40))


def put_logs(clickhouse: ClickHouse, logs: Iterable[dict[str, Any]]) -> None:
    """Insert logs: `at_ns`, optional `ingested_ns`, level, service, message; everything else is a field."""
    rows = []
    for log in logs:
        fields = dict(log)
        at_ns = fields.pop("at_ns")
        rows.append(
            {
                "timestamp": at_ns,
                "ingested_at": fields.pop("ingested_ns", at_ns),
                "level": fields.pop("level", "error"),
                "service": fields.pop("service", "api"),
                "message": fields.pop("message", "it failed"),
                **pack_fields(
                    [*fields], [orjson.dumps(value).decode() for value in fields.values()]
                )._asdict(),
                "shape": "",
                "source_ip": "127.0.0.1",
                "method": "http",
                "seq": next(_seq),
            }
        )
    insert_logs(clickhouse, pa.Table.from_pylist(rows, LOGS_SCHEMA), f"test-{next(_seq)}")
