"""Twice what the service can take: does it stay as fast, say no politely, keep its memory, recover at once?

Phases: the best rate in a closed loop, for as long as the overload will last (merges slow a longer run down);
a calm, to know how long an acknowledgement takes; the overload, in an open loop of more connections than the
service works on at once; the same calm again; and the best rate once more. The mean of the two is the
measure: the first begins with an empty table, and the pace of a shared machine changes from minute to minute.
"""

import argparse
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from statistics import mean
from typing import Any, Final

from benchmarks.corpus import LOGS_PER_REQUEST, build_requests, calibrate
from benchmarks.disturbances import quantiles
from benchmarks.http_load import PAUSE_AFTER_FAILURE_S, HttpLoad, Outcome, Plan
from benchmarks.instance import Instance
from benchmarks.ledger import Ledger, wait_until_stored
from benchmarks.peaks import Peaks
from benchmarks.processes import usage_by_name
from benchmarks.report import by_ten_seconds, cpu_per_log, show
from benchmarks.scrape import scrape
from core.metric_names import BACKPRESSURE, HTTP_REFUSED

CALM_S: Final = 15.0
CALM_SHARE: Final = 0.2  # of the best rate
OVERLOAD: Final = 2.0  # times the best rate
OPEN_CONNECTIONS: Final = 1000
SHARE_MIN: Final = 0.9
RSS_MB_MAX: Final = 6442  # 6 GiB for the whole service


def measure_overload(instance: Instance, arguments: argparse.Namespace) -> int:
    """Run the phases and print what was seen; 1 when a promise is broken."""
    requests = build_requests(32)
    before_us = calibrate(requests)
    ledger = Ledger(secrets.randbelow(1 << 16))

    def load(rate: float, duration_s: float, open_loop: bool = False) -> Outcome:
        plan = Plan(
            instance.host,
            instance.port,
            instance.api_key,
            rate,
            duration_s,
            OPEN_CONNECTIONS if open_loop else arguments.connections,
            rest_after_refusal_s=0.0 if open_loop else PAUSE_AFTER_FAILURE_S,
        )
        return HttpLoad(plan, requests, ledger).run()

    load(0, arguments.warm_up)
    best, best_cpu = with_cpu(instance, lambda: load(0, arguments.duration))
    best_rate = rate_within(best, arguments.duration)
    wait_until_stored(lambda: ledger.all_stored(instance.store))
    calm = load(best_rate * CALM_SHARE, CALM_S)
    refused = refusals(instance)
    peaks = Peaks(instance)
    overload, cpu = with_cpu(instance, lambda: load(best_rate * OVERLOAD, arguments.duration, open_loop=True))
    after = load(best_rate * CALM_SHARE, CALM_S)
    highest = peaks.stop()
    drained_s = wait_until_stored(lambda: ledger.all_stored(instance.store))
    refused = refusals(instance) - refused
    again = load(0, arguments.duration)
    wait_until_stored(lambda: ledger.all_stored(instance.store))
    verdict = ledger.check(instance.store)
    rates = [best_rate, rate_within(again, arguments.duration)]
    rate = rate_within(overload, arguments.duration)
    share = rate / mean(rates)
    result: dict[str, Any] = {
        "command": " ".join(sys.argv),
        "calibration_us_per_log": [round(before_us, 3), round(calibrate(requests), 3)],
        "best_logs_per_s": [round(each) for each in rates],
        "best_logs_per_s_by_10_s": by_ten_seconds(best, best.lasted_s),
        "best_acknowledgement_ms": milliseconds(best),
        "best_cpu_us_per_log": best_cpu,
        "offered_logs_per_s": round(overload.answered * LOGS_PER_REQUEST / overload.lasted_s),
        "logs_per_s": round(rate),
        "logs_per_s_by_10_s": by_ten_seconds(overload, overload.lasted_s),
        "share_of_best": round(share, 3),
        "share_of_each": [round(rate / each, 3) for each in rates],
        "answers": {"202": len(overload.acknowledged), **{str(k): n for k, n in overload.refusals.items()}},
        "refused_by": dict(refused),
        "refused_without_retry_after": overload.without_retry_after,
        "failed_requests": overload.failed,
        "acknowledgement_ms": milliseconds(overload),
        "cpu_us_per_acknowledged_log": cpu,
        "calm_acknowledgement_ms": {"before": milliseconds(calm), "after": milliseconds(after)},
        "normal_again_after_s": normal_after_s(calm, after),
        "peaks": highest,
        "drained_after_s": round(drained_s, 2),
        "parts": instance.parts(),
        "merges": instance.merges(),
        "acknowledged": verdict.acknowledged,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
    }
    broken = [
        promise
        for promise, kept in {
            f"{SHARE_MIN:.0%} of the best throughput": share >= SHARE_MIN,
            "a refusal says when to come back": overload.without_retry_after == 0,
            "no answer but 202, 429 and 503": overload.failed == 0,
            f"memory under {RSS_MB_MAX} MB": highest["rss_mb"] < RSS_MB_MAX,
            "acknowledged = stored, each exactly once": verdict.holds,
        }.items()
        if not kept
    ]
    show(result, f"NOT KEPT: {'; '.join(broken)}" if broken else "overload withstood, every promise kept")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if broken else 0


def refusals(instance: Instance) -> Counter[str]:
    """Requests refused with 429 since the service began, by HAProxy and by the replicas."""
    by_haproxy, by_replicas = scrape(instance, (HTTP_REFUSED.name, BACKPRESSURE.name)).values()
    return Counter(haproxy=int(by_haproxy), replicas=int(by_replicas))


def with_cpu(instance: Instance, load: Callable[[], Outcome]) -> tuple[Outcome, dict[str, float]]:
    """A load, and what each process spent on an acknowledged log meanwhile."""
    began, own_s = usage_by_name(instance.instance_id), time.process_time()
    outcome = load()
    ended, own_s = usage_by_name(instance.instance_id), time.process_time() - own_s
    return outcome, cpu_per_log(began, ended, own_s, len(outcome.acknowledged) * LOGS_PER_REQUEST)


def rate_within(outcome: Outcome, duration_s: float) -> float:
    """Logs a second acknowledged before the time was over."""
    return sum(at_s <= duration_s for at_s, _ in outcome.acknowledged) * LOGS_PER_REQUEST / duration_s


def milliseconds(outcome: Outcome) -> dict[str, float]:
    """What acknowledgements took."""
    return quantiles([seconds * 1e3 for _, seconds in outcome.acknowledged], 1)


def normal_after_s(calm: Outcome, after: Outcome) -> float:
    """The first whole second from which to the end the p99 is at most half as much again as the calm's."""
    limit_ms = 1.5 * milliseconds(calm).get("p99", 0.0)
    for second in range(int(after.lasted_s)):
        rest = Outcome([pair for pair in after.acknowledged if pair[0] >= second])
        if milliseconds(rest).get("p99", 0.0) <= limit_ms:
            return float(second)
    return after.lasted_s
