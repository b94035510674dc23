"""The ingest benchmark: sustained load, and proof that what was acknowledged is stored, each log once.

python -m benchmarks.ingest --duration 60                as fast as it goes, on an instance of its own
python -m benchmarks.ingest --rate 100000 --duration 300
python -m benchmarks.ingest --rate 50000 --duration 200 --store-hangs 120
python -m benchmarks.ingest --duration 80 --store-slow 60 --set LOGRAY_WAL_BYTES_MAX=536870912
python -m benchmarks.ingest --mixed                      HTTP, and JSON lines and syslog over TCP beside it
python -m benchmarks.ingest --overload                   twice what it can take, for a minute
python -m benchmarks.ingest --data-dir data              on a running instance
"""

import argparse
import json
import os
import platform
import secrets
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import LOGS_PER_REQUEST, Request, build_requests, calibrate
from benchmarks.disturbances import Disturbances, Seen, quantiles
from benchmarks.http_load import HttpLoad, Outcome, Plan
from benchmarks.instance import Instance, running_instance, temporary_instance
from benchmarks.ledger import Ledger, wait_until_stored
from benchmarks.mixed import TcpBeside
from benchmarks.overload import measure_overload
from benchmarks.peaks import Peaks
from benchmarks.processes import usage_by_name
from benchmarks.report import by_ten_seconds, cpu_per_log, show

HTTP_REQUESTS: Final = 32  # different ones


def main() -> int:
    """Run from the command line; exit 1 when the ledger does not hold."""
    arguments = parse_arguments()
    work = measure_overload if arguments.overload else measure
    if arguments.data_dir:
        return work(running_instance(arguments.data_dir), arguments)
    with temporary_instance(dict(pair.split("=", 1) for pair in arguments.set)) as instance:
        return work(instance, arguments)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Ingest benchmark", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--rate", type=float, default=0, help="logs a second; 0: as fast as it goes")
    add("--duration", type=float, default=60, help="seconds")
    add("--warm-up", type=float, default=5, help="seconds before the measured part")
    add("--connections", type=int, default=8)
    add("--gzip", action="store_true", help="compress the requests (the generator pays)")
    add("--mixed", action="store_true", help="JSON lines and RFC 5424 over TCP at the same time")
    add("--overload", action="store_true", help="find the best rate, then offer twice that for --duration")
    add("--data-dir", type=Path, help="measure the instance that runs on this directory")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the own instance")
    add("--kill-every", type=float, default=0, help="kill -9 a random process so often, s")
    add("--store-hangs", type=float, default=0, help="stop ClickHouse for so long, s")
    add(
        "--store-slow",
        type=float,
        default=0,
        help="stop ClickHouse four fifths of each second for so long, s",
    )
    add("--searches", type=int, default=0, help="clients that search meanwhile")
    add("--no-lag", action="store_true", help="do not measure when logs become searchable")
    add("--json", type=Path, help="write the result here, too")
    return parser.parse_args()


def measure(instance: Instance, arguments: argparse.Namespace) -> int:
    """Load one instance and print what was seen."""
    requests = build_requests(HTTP_REQUESTS)
    before_us = calibrate(requests)
    ledger = Ledger(secrets.randbelow(1 << 16))
    tcp = TcpBeside(instance) if arguments.mixed else None
    load(instance, arguments, arguments.warm_up, requests, ledger)
    began_usage, began_own_s = usage_by_name(instance.instance_id), time.process_time()
    peaks = Peaks(instance)
    if tcp:
        tcp.start(arguments.duration)
    with disturbances(arguments).during(instance) as seen:
        outcome = load(instance, arguments, arguments.duration, requests, ledger)
    if tcp:
        tcp.join()
    searchable_s = wait_until_stored(
        lambda: ledger.all_stored(instance.store) and (tcp is None or tcp.all_stored())
    )
    ended_usage, own_s = usage_by_name(instance.instance_id), time.process_time() - began_own_s
    logs = len(outcome.acknowledged) * LOGS_PER_REQUEST + (tcp.sent if tcp else 0)
    verdict, of_tcp = ledger.check(instance.store), tcp.verdicts() if tcp else {}
    lost = verdict.lost + sum(one["lost"] for one in of_tcp.values())
    doubled = verdict.doubled + sum(one["doubled"] for one in of_tcp.values())
    result = {
        **circumstances(),
        "calibration_us_per_log": [round(before_us, 3), round(calibrate(requests), 3)],
        **of_load(outcome),
        **({"tcp": of_tcp} if tcp else {}),
        **of_disturbances(seen),
        "drained_after_s": round(searchable_s, 2),
        "cpu_us_per_log": cpu_per_log(began_usage, ended_usage, own_s, logs),
        "peaks": peaks.stop(),
        "rss_mb": {name: round(usage.rss_bytes / 1e6) for name, usage in sorted(ended_usage.items())},
        "bytes_per_log": instance.bytes_per_log(),
        "parts": instance.parts(),
        "merges": instance.merges(),
        "acknowledged": verdict.acknowledged,
        "lost": lost,
        "doubled": doubled,
        "stored_but_not_acknowledged": verdict.unacknowledged_but_stored,
    }
    holds = lost == doubled == 0
    judgement = "acknowledged = stored, each exactly once" if holds else "THE LEDGER DOES NOT HOLD"
    over_tcp = f" over HTTP, {tcp.sent} lines over TCP" if tcp else ""
    show(result, f"{judgement} ({verdict.acknowledged} logs{over_tcp}, {lost} lost, {doubled} doubled)")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if holds else 1


def load(
    instance: Instance,
    arguments: argparse.Namespace,
    duration_s: float,
    requests: list[Request],
    ledger: Ledger,
) -> Outcome:
    """Send over HTTP for some seconds."""
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


def disturbances(arguments: argparse.Namespace) -> Disturbances:
    """What shall happen meanwhile."""
    return Disturbances(
        arguments.kill_every,
        arguments.store_hangs,
        arguments.store_slow,
        arguments.searches,
        lag=not arguments.no_lag,
    )


def circumstances() -> dict[str, Any]:
    """Where this ran, and how it was called."""
    return {
        "machine": f"{os.cpu_count()} × {platform.processor() or platform.machine()}",
        "command": " ".join(sys.argv),
    }


def of_load(outcome: Outcome) -> dict[str, Any]:
    """What the generator saw."""
    return {
        "logs_per_s": round(len(outcome.acknowledged) * LOGS_PER_REQUEST / outcome.lasted_s),
        "logs_per_s_by_10_s": by_ten_seconds(outcome, outcome.lasted_s),
        "acknowledgement_ms": quantiles([seconds * 1e3 for _, seconds in outcome.acknowledged], 1),
        "refused_requests": dict(outcome.refusals),
        "refused_without_retry_after": outcome.without_retry_after,
        "failed_requests": outcome.failed,
    }


def of_disturbances(seen: Seen) -> dict[str, Any]:
    """What happened meanwhile."""
    return {
        "searchable_after_s": quantiles(seen.lags_s),
        "searches_ms": quantiles(seen.searches_ms, 1),
        "searches_failed": seen.searches_failed,
        "kills": seen.kills,
    }


if __name__ == "__main__":
    sys.exit(main())
