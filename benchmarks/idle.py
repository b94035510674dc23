"""What an idle instance costs, and how soon a single log is acknowledged and found.

python -m benchmarks.idle                     on an instance of its own
python -m benchmarks.idle --data-dir data     on a running instance
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Final

import requests

from benchmarks.disturbances import Disturbances, quantiles
from benchmarks.instance import Instance, running_instance, temporary_instance
from benchmarks.processes import Usage, usage_by_name

SETTLED_S: Final = 20.0  # after the start
SHOWN_PERCENT: Final = 0.05


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Idle benchmark")
    parser.add_argument("--seconds", type=float, default=60, help="of idling, and of single logs (60)")
    parser.add_argument("--data-dir", type=Path, help="measure the instance that runs on this directory")
    arguments = parser.parse_args()
    if arguments.data_dir:
        return measure(running_instance(arguments.data_dir), arguments.seconds)
    with temporary_instance() as instance:
        time.sleep(SETTLED_S)
        return measure(instance, arguments.seconds)


def measure(instance: Instance, seconds: float) -> int:
    """Print the share of a core by process, then the milliseconds and seconds of single logs."""
    before, began_s = usage_by_name(instance.instance_id), time.monotonic()
    time.sleep(seconds)
    after, lasted_s = usage_by_name(instance.instance_id), time.monotonic() - began_s
    shares = {
        name: 100 * (usage.cpu_s - before.get(name, Usage(0.0, 0)).cpu_s) / lasted_s
        for name, usage in after.items()
    }
    memory = sum(usage.rss_bytes for usage in after.values()) / 1e6
    print(f"idle: {sum(shares.values()):.1f} % of one core, {memory:.0f} MB")
    for name, share in sorted(shares.items(), key=lambda item: -item[1]):
        if share >= SHOWN_PERCENT:
            print(f"  {share:5.2f} %  {after[name].rss_bytes / 1e6:6.0f} MB  {name}")
    with Disturbances(lag=True).during(instance) as seen:
        acknowledged = acknowledgements(instance, seconds)
    print(f"a single log is acknowledged after {quantiles(acknowledged, 1)} ms")
    print(f"and found after {quantiles(seen.lags_s)} s")
    return 0


def acknowledgements(instance: Instance, seconds: float) -> list[float]:
    """Milliseconds of single logs, five a second over one connection."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {instance.api_key}"
    times, ends_s = [], time.monotonic() + seconds
    while time.monotonic() < ends_s:
        began_s = time.monotonic()
        session.post(
            f"{instance.url}/api/v1/logs", json={"timestamp": time.time_ns(), "message": "one"}, timeout=30
        )
        times.append((time.monotonic() - began_s) * 1000)
        time.sleep(0.2)
    return times


if __name__ == "__main__":
    sys.exit(main())
