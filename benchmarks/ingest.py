"""The ingest benchmark: sustained load, and proof that what was acknowledged is stored, each log once.

python -m benchmarks.ingest --duration 60               as fast as it goes, on an instance of its own
python -m benchmarks.ingest --rate 100000 --duration 300
python -m benchmarks.ingest --data-dir data              on a running instance
"""

import argparse
import json
import os
import platform
import secrets
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.corpus import LOGS_PER_REQUEST, build_requests, calibrate
from benchmarks.disturbances import Disturbances, quantiles
from benchmarks.http_load import HttpLoad, Outcome, Plan
from benchmarks.instance import Instance, running_instance, temporary_instance
from benchmarks.ledger import Ledger, Verdict
from benchmarks.processes import Usage, usage_by_name

SEARCHABLE_WITHIN_S = 120.0


def main() -> int:
    """Run from the command line; exit 1 when the ledger does not hold."""
    arguments = parse_arguments()
    if arguments.data_dir:
        return measure(running_instance(arguments.data_dir), arguments)
    with temporary_instance() as instance:
        return measure(instance, arguments)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Ingest benchmark", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=0, help="logs a second; 0: as fast as it goes")
    parser.add_argument("--duration", type=float, default=60, help="seconds")
    parser.add_argument("--warm-up", type=float, default=5, help="seconds before the measured part")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--gzip", action="store_true", help="compress the requests (the generator pays)")
    parser.add_argument("--data-dir", type=Path, help="measure the instance that runs on this directory")
    parser.add_argument("--kill-every", type=float, default=0, help="kill -9 a random process so often, s")
    parser.add_argument("--store-hangs", type=float, default=0, help="stop ClickHouse for so long, s")
    parser.add_argument("--searches", type=int, default=0, help="clients that search meanwhile")
    parser.add_argument("--no-lag", action="store_true", help="do not measure when logs become searchable")
    parser.add_argument("--json", type=Path, help="write the result here, too")
    return parser.parse_args()


def measure(instance: Instance, arguments: argparse.Namespace) -> int:
    """Load one instance and print what was seen."""
    requests = build_requests(32)
    before_us = calibrate(requests)
    ledger = Ledger(secrets.randbelow(1 << 16))

    def load(duration_s: float) -> Outcome:
        plan = Plan(
            instance.host,
            instance.port,
            instance.api_key,
            arguments.rate,
            duration_s,
            arguments.connections,
            arguments.gzip,
        )
        return HttpLoad(plan, requests, ledger).run()

    load(arguments.warm_up)
    began_usage, began_own_s = usage_by_name(instance.instance_id), time.process_time()
    peak = _PeakMemory(instance.instance_id)
    disturbances = Disturbances(
        arguments.kill_every, arguments.store_hangs, arguments.searches, lag=not arguments.no_lag
    )
    with disturbances.during(instance) as seen:
        outcome = load(arguments.duration)
    elapsed_s = outcome.lasted_s
    searchable_s = wait_until_searchable(instance, ledger)
    ended_usage, own_s = usage_by_name(instance.instance_id), time.process_time() - began_own_s
    peak_bytes = peak.stop()
    verdict = ledger.check(instance.store)
    result = {
        "machine": f"{os.cpu_count()} × {platform.processor() or platform.machine()}",
        "command": " ".join(sys.argv),
        "calibration_us_per_log": [round(before_us, 3), round(calibrate(requests), 3)],
        "logs_per_s": round(len(outcome.acknowledged) * LOGS_PER_REQUEST / elapsed_s),
        "logs_per_s_by_10_s": by_ten_seconds(outcome, elapsed_s),
        "acknowledgement_ms": quantiles([seconds * 1e3 for _, seconds in outcome.acknowledged], 1),
        "searchable_after_s": quantiles(seen.lags_s),
        "searches_ms": quantiles(seen.searches_ms, 1),
        "searches_failed": seen.searches_failed,
        "kills": seen.kills,
        "refused_requests": outcome.refused,
        "failed_requests": outcome.failed,
        "drained_after_s": round(searchable_s, 2),
        "cpu_us_per_log": cpu_per_log(
            began_usage, ended_usage, own_s, len(outcome.acknowledged) * LOGS_PER_REQUEST
        ),
        "rss_mb_peak": round(peak_bytes / 1e6),
        "rss_mb": {name: round(usage.rss_bytes / 1e6) for name, usage in sorted(ended_usage.items())},
        "bytes_per_log": instance.bytes_per_log(),
        "parts": instance.parts(),
        "acknowledged": verdict.acknowledged,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "stored_but_not_acknowledged": verdict.unacknowledged_but_stored,
    }
    show(result, verdict)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if verdict.holds else 1


def wait_until_searchable(instance: Instance, ledger: Ledger) -> float:
    """Seconds from the end of the load until the store shows every acknowledged log."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < SEARCHABLE_WITHIN_S:
        if ledger.stored_logs(instance.store) >= ledger.acknowledged_logs:
            break
        time.sleep(0.2)
    return time.monotonic() - began_s


def by_ten_seconds(outcome: Outcome, elapsed_s: float) -> list[int]:
    """Logs a second in each ten seconds of the run."""
    counts = [0] * (int(elapsed_s // 10) + 1)
    for at_s, _ in outcome.acknowledged:
        counts[min(int(at_s // 10), len(counts) - 1)] += LOGS_PER_REQUEST
    widths = [min(10.0, elapsed_s - 10 * i) for i in range(len(counts))]
    return [round(count / width) for count, width in zip(counts, widths, strict=True) if width >= 1]


def cpu_per_log(
    began: dict[str, Usage], ended: dict[str, Usage], own_s: float, logs: int
) -> dict[str, float]:
    """µs of CPU a log, by process, the generator and the sum of the service."""
    if not logs:
        return {}
    spent = {
        name: max(usage.cpu_s - began.get(name, Usage(0.0, 0)).cpu_s, 0.0) for name, usage in ended.items()
    }
    figures = {name: round(s * 1e6 / logs, 2) for name, s in sorted(spent.items(), key=lambda item: -item[1])}
    shown = {name: figure for name, figure in figures.items() if figure >= 0.01}
    return {
        "service": round(sum(spent.values()) * 1e6 / logs, 2),
        "generator": round(own_s * 1e6 / logs, 2),
        **shown,
    }


def show(result: dict[str, Any], verdict: Verdict) -> None:
    """Print one line a figure, and the verdict last."""
    for name, value in result.items():
        print(f"{name:>30}  {value}")
    judgement = "acknowledged = stored, each exactly once" if verdict.holds else "THE LEDGER DOES NOT HOLD"
    print(
        f"verdict: {judgement} ({verdict.acknowledged} logs, {verdict.lost} lost, {verdict.doubled} doubled)"
    )


class _PeakMemory:
    """Samples the resident memory of an instance once a second."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self._peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The highest sum that was seen, in bytes."""
        self._ended.set()
        self._thread.join()
        return self._peak_bytes

    def _sample(self) -> None:
        while not self._ended.wait(1.0):
            total = sum(usage.rss_bytes for usage in usage_by_name(self._instance_id).values())
            self._peak_bytes = max(self._peak_bytes, total)


if __name__ == "__main__":
    sys.exit(main())
