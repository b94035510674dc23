"""The alerting benchmark: many rules while logs come in, how late their evaluations are and what each costs.

python -m benchmarks.alerts                                 50 rules every 10 s, 10,000 logs/s, two minutes
python -m benchmarks.alerts --rules 100 --rate 0
"""

import argparse
import json
import re
import secrets
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import SERVICES, build_requests
from benchmarks.http_load import HttpLoad, Plan
from benchmarks.instance import Instance, temporary_instance
from benchmarks.ledger import Ledger
from benchmarks.processes import instance_processes, usage_by_name

LATE_S_MAX: Final = 1.0  # what is promised
SETTLE_S: Final = 25.0  # the gauge still speaks of the start for two rounds of the supervisor
STARTED_WITHIN_S: Final = 300.0
_SMAPS = re.compile(r"^(Rss|Pss):\s+(\d+) kB", re.MULTILINE)


@dataclass
class Lateness:
    """The worst of each time that the service was asked, in seconds."""

    samples_s: list[float] = field(default_factory=list)

    def watch(self, instance: Instance, stopped: threading.Event) -> None:
        """Ask until told to stop; the gauge is the worst of some seconds, longer than the pause here."""
        while not stopped.wait(2.0):
            text = _request(instance, "GET", "/metrics").decode()
            match = re.search(r"^alert_lateness_seconds (\S+)$", text, re.MULTILINE)
            if match:
                self.samples_s.append(float(match[1]))


def main() -> int:
    """Run from the command line; exit 1 when an evaluation came too late."""
    parser = argparse.ArgumentParser(
        description="Alerting benchmark", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rules", type=int, default=50)
    parser.add_argument("--interval", type=int, default=10, help="seconds between evaluations")
    parser.add_argument("--rate", type=float, default=10_000, help="logs a second")
    parser.add_argument("--duration", type=float, default=120, help="seconds")
    arguments = parser.parse_args()
    with temporary_instance() as instance:
        return measure(instance, arguments)


def measure(instance: Instance, arguments: argparse.Namespace) -> int:
    """Make the rules, let logs come in, print what was seen."""
    began_s = time.monotonic()
    for number in range(arguments.rules):
        _request(instance, "POST", "/api/v1/alerts", rule(number, arguments.interval))
    created_s = time.monotonic() - began_s
    wait_until_all_run(instance, arguments.rules)
    started_s = time.monotonic() - began_s
    time.sleep(SETTLE_S)
    before = usage_by_name(instance.instance_id)
    lateness, stopped = Lateness(), threading.Event()
    watching = threading.Thread(target=lateness.watch, args=(instance, stopped))
    watching.start()
    if arguments.rate:
        plan = Plan(instance.host, instance.port, instance.api_key, arguments.rate, arguments.duration, 4)
        outcome = HttpLoad(plan, build_requests(32), Ledger(secrets.randbelow(1 << 16))).run()
        sent = len(outcome.acknowledged) * 1000
    else:
        stopped.wait(arguments.duration)
        sent = 0
    stopped.set()
    watching.join()
    after = usage_by_name(instance.instance_id)
    evaluated = evaluations(instance)
    worst_s = max(lateness.samples_s, default=float("inf"))
    cpu_s = after["AlertRuleActor"].cpu_s - before["AlertRuleActor"].cpu_s
    result = {
        "command": " ".join(sys.argv),
        "rules": arguments.rules,
        "interval_s": arguments.interval,
        "logs_per_s": round(sent / arguments.duration),
        "created_s": round(created_s, 1),
        "all_evaluated_after_s": round(started_s, 1),
        "evaluations": evaluated,
        "latest_s": round(worst_s, 3),
        "latest_s_by_2_s": [round(each, 2) for each in lateness.samples_s],
        "memory_mb_per_rule": memory(instance),
        "cpu_ms_per_evaluation": round(
            1000 * cpu_s * arguments.interval / (arguments.rules * arguments.duration), 1
        ),
    }
    print(json.dumps(result, indent=2))
    holds = worst_s <= LATE_S_MAX
    print(f"verdict: every evaluation began within {LATE_S_MAX:g} s of its time: {'yes' if holds else 'NO'}")
    return 0 if holds else 1


def rule(number: int, interval_s: int) -> dict[str, Any]:
    """One of a few kinds of rules, over some service's logs."""
    service = SERVICES[number % len(SERVICES)]
    kinds: list[dict[str, Any]] = [
        {"query": f"level:error AND service:{service}", "condition": {"threshold": 1e9, "window": "1m"}},
        {"query": "timeout", "condition": {"type": "rate", "threshold": 1e9, "window": "1m"}},
        {
            "query": f"service:{service}",
            "condition": {"type": "percentage", "threshold": 100, "window": "1m"},
        },
        {"query": "level:error", "group_by": "service", "condition": {"threshold": 1e9, "window": "1m"}},
        {"query": f"level:>=warn service:{service}", "condition": {"threshold": 1e9, "window": "5m"}},
    ]
    return {"name": f"Rule {number}", "interval": f"{interval_s}s", **kinds[number % len(kinds)]}


def wait_until_all_run(instance: Instance, count: int) -> None:
    """Until every rule has been evaluated once."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < STARTED_WITHIN_S:
        listed = json.loads(_request(instance, "GET", "/api/v1/alerts?limit=500"))["alerts"]
        if sum(each["last_evaluated"] is not None for each in listed) == count:
            return
        time.sleep(0.5)
    sys.exit("not every rule has started")


def evaluations(instance: Instance) -> dict[str, int]:
    """How many windows have been evaluated, by outcome."""
    text = _request(instance, "GET", "/metrics").decode()
    found = re.findall(r'^alert_evaluations_total\{outcome="(\w+)"\} (\S+)$', text, re.MULTILINE)
    return {outcome: int(float(value)) for outcome, value in found}


def memory(instance: Instance) -> dict[str, float]:
    """RSS and PSS of the rules' processes, on average."""
    totals, count = {"Rss": 0, "Pss": 0}, 0
    for pid, name in instance_processes(instance.instance_id).items():
        if name == "AlertRuleActor":
            count += 1
            for kind, size in _SMAPS.findall(Path(f"/proc/{pid}/smaps_rollup").read_text()):
                totals[kind] += int(size)
    return {kind.lower(): round(size / 1024 / max(count, 1), 1) for kind, size in totals.items()} | {
        "processes": count
    }


def _request(instance: Instance, method: str, path: str, body: Any = None) -> bytes:
    request = urllib.request.Request(
        instance.url + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {instance.api_key}"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
        return content


if __name__ == "__main__":
    sys.exit(main())
