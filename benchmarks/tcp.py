"""The TCP benchmark: JSON lines and syslog as fast as they go, and what idle connections cost a busy one.

python -m benchmarks.tcp                            on an instance of its own
python -m benchmarks.tcp --duration 60 --kinds rfc5424
python -m benchmarks.tcp --data-dir data            on a running instance
"""

import argparse
import json
import secrets
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import build_requests, calibrate
from benchmarks.instance import Instance, running_instance, temporary_instance
from benchmarks.ledger import REQUEST_ID, wait_until_stored
from benchmarks.processes import usage_by_name
from benchmarks.tcp_load import KINDS, TcpLoad, build_blocks

BLOCKS: Final = 32
# Where a line's id is: the same expression counts lines that are missing and lines that are there twice.
ID: Final = f"if({REQUEST_ID} != '', trim(BOTH '\"' FROM {REQUEST_ID}), right(message, 16))"


def main() -> int:
    """Run from the command line; exit 1 when a line is missing or doubled."""
    parser = argparse.ArgumentParser(
        description="TCP benchmark", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--duration", type=float, default=20, help="seconds of each measurement")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument(
        "--idle", type=int, default=1000, help="idle connections beside the busy one; 0: skip"
    )
    parser.add_argument("--rounds", type=int, default=3, help="measurements with and without the idle ones")
    parser.add_argument("--data-dir", type=Path, help="measure the instance that runs on this directory")
    parser.add_argument("--json", type=Path, help="write the result here, too")
    arguments = parser.parse_args()
    if arguments.data_dir:
        return measure(running_instance(arguments.data_dir), arguments)
    with temporary_instance() as instance:
        return measure(instance, arguments)


def measure(instance: Instance, arguments: argparse.Namespace) -> int:
    """Load one instance and print what was seen."""
    result: dict[str, Any] = {"command": " ".join(sys.argv), "calibration_us_per_log": calibration()}
    for kind in arguments.kinds:
        result[kind] = throughput(instance, kind, arguments.duration, arguments.connections)
        print(f"{kind:8}", json.dumps(result[kind]), flush=True)
    if arguments.idle:
        result["idle"] = idle_cost(instance, arguments)
        print("idle    ", json.dumps(result["idle"]), flush=True)
    result["calibration_us_per_log_after"] = calibration()
    print(
        f"orjson.loads of a JSON log: {result['calibration_us_per_log']} µs before, "
        f"{result['calibration_us_per_log_after']} µs after"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    measured = [result[kind] for kind in arguments.kinds] + ([result["idle"]] if arguments.idle else [])
    return 0 if all(one["lost"] == one["doubled"] == 0 for one in measured) else 1


def calibration() -> float:
    """µs a log to `orjson.loads` the JSON corpus: how fast the machine is now."""
    return round(calibrate(build_requests(4)), 3)


def throughput(instance: Instance, kind: str, duration_s: float, connections: int) -> dict[str, Any]:
    """Lines a second until the last one was on disk, and CPU by process."""
    load = new_load(instance, kind)
    load.send(min(3.0, duration_s), connections)  # a warm-up
    wait_until_stored(lambda: all_stored(instance, load))
    warm = load.sent
    before, own_s = usage_by_name(instance.instance_id), time.process_time()
    elapsed_s = load.send(duration_s, connections)
    sent, own_s = load.sent - warm, time.process_time() - own_s
    searchable_s = wait_until_stored(lambda: all_stored(instance, load))
    after = usage_by_name(instance.instance_id)
    cpu = {name: usage.cpu_s - before[name].cpu_s for name, usage in after.items() if name in before}
    cpu["generator"] = own_s
    return {
        "lines_per_s": round(sent / elapsed_s),
        "searchable_after_s": round(searchable_s, 2),
        "cpu_us_per_line": {
            name: round(cpu_s * 1e6 / sent, 2)
            for name, cpu_s in sorted(cpu.items(), key=lambda item: -item[1])
            if cpu_s * 1e6 / sent >= 0.05
        },
        "listener_rss_mb": round(
            sum(usage.rss_bytes for name, usage in after.items() if "Listener" in name) / 1e6
        ),
        **verdict(instance, load),
    }


def idle_cost(instance: Instance, arguments: argparse.Namespace) -> dict[str, Any]:
    """How fast one busy connection is beside many idle ones, as a share of what it is alone."""
    load = new_load(instance, "json")
    alone: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    for _ in range(arguments.rounds):
        alone.append(busy_rate(instance, load, arguments.duration / 2))
        with ExitStack() as stack:
            for _ in range(arguments.idle):
                stack.enter_context(socket.create_connection((instance.host, instance.tcp_port), 10))
            beside.append(busy_rate(instance, load, arguments.duration / 2))
    return {
        "idle_connections": arguments.idle,
        "lines_per_s_alone": [round(rate) for rate, _ in alone],
        "lines_per_s_beside": [round(rate) for rate, _ in beside],
        "ratio": round(median_of(beside, 0) / median_of(alone, 0), 3),
        "listener_cpu_us_per_line_alone": round(median_of(alone, 1), 2),
        "listener_cpu_us_per_line_beside": round(median_of(beside, 1), 2),
        **verdict(instance, load),
    }


def median_of(measurements: list[tuple[float, float]], index: int) -> float:
    """The median of one of the two figures."""
    return statistics.median(measurement[index] for measurement in measurements)


def busy_rate(instance: Instance, load: TcpLoad, duration_s: float) -> tuple[float, float]:
    """Lines a second of one connection, and the listener's CPU in µs a line."""
    before, cpu_s = load.sent, listener_cpu_s(instance)
    elapsed_s = load.send(duration_s, 1)
    wait_until_stored(lambda: all_stored(instance, load))
    lines = load.sent - before
    return lines / elapsed_s, (listener_cpu_s(instance) - cpu_s) * 1e6 / lines


def listener_cpu_s(instance: Instance) -> float:
    """CPU seconds of the listener since it began."""
    usage = usage_by_name(instance.instance_id)
    return sum(used.cpu_s for name, used in usage.items() if "Listener" in name)


def new_load(instance: Instance, kind: str) -> TcpLoad:
    """A load with a run number of its own."""
    address = (instance.host, instance.tcp_port)
    return TcpLoad(address, build_blocks(kind, BLOCKS), secrets.randbelow(1 << 16))


def all_stored(instance: Instance, load: TcpLoad) -> bool:
    """Whether the store shows as many lines of this run as were sent."""
    return stored(instance, load, "count()")[0] >= load.sent


def verdict(instance: Instance, load: TcpLoad) -> dict[str, int]:
    """Lines that are missing, and lines that are there more than once."""
    # As numbers: tens of millions of texts would take more memory than a query has.
    lines, ids = stored(instance, load, "count(), uniqExact(reinterpretAsUInt64(reverse(unhex(id))))")
    return {"sent": load.sent, "lost": load.sent - ids, "doubled": lines - ids}


def stored(instance: Instance, load: TcpLoad, columns: str) -> list[int]:
    """Numbers of the lines of this run that the store has, whose `id` tells them apart."""
    sql = (
        f"SELECT {columns} FROM (SELECT {ID} AS id FROM logs WHERE method = 'tcp') "
        "WHERE startsWith(id, {run:String})"
    )
    return [int(number) for number in instance.store.query(sql, {"run": f"{load.run:04x}"}).rows[0]]


if __name__ == "__main__":
    sys.exit(main())
