"""`logray status`: what runs, where it answers, and what waits."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from cli.api_key import load_or_create_api_key
from cli.instance import Instance, InstanceFiles
from cli.probe import base_url, probe
from cli.processes import Process, processes_of
from core.settings import Settings

Say = Callable[[str], None]

ANSWER_WITHIN_S = 5.0
EXIT_STOPPED = 3
NUMBERS = {  # metric → what a person calls it
    "logs_ingested": "logs ingested",
    "dead_letters": "dead letters",
    "buffered_rows": "rows waiting for ClickHouse",
    "wal_bytes": "bytes of WAL",
    "clickhouse_insert_failures": "failed inserts",
    "backpressure": "refused batches",
}


@dataclass(frozen=True, slots=True)
class Status:
    """What was found."""

    state: str  # ready, not ready, not answering or stopped
    reason: str
    instance: Instance | None
    processes: list[Process]
    numbers: dict[str, float]


def status(settings: Settings, as_json: bool, say: Say) -> int:
    """Print it; 0 while it runs, 3 when it is stopped."""
    files = InstanceFiles(settings.data_dir)
    found = look(settings, files)
    if as_json:
        say(json.dumps(_as_json(found), indent=2))
    else:
        _show(found, files, say)
    return EXIT_STOPPED if found.state == "stopped" else 0


def look(settings: Settings, files: InstanceFiles) -> Status:
    """The state of the instance of a data directory."""
    instance, processes = files.read(), processes_of(files.id)
    if instance is None or not (processes or instance.existing_cluster):
        return Status("stopped", "", None, processes, {})
    url, key = base_url(instance.http), load_or_create_api_key(settings)
    if (alive := probe(url + "/healthz", ANSWER_WITHIN_S)).status != 200:
        return Status("not answering", alive.reason, instance, processes, {})
    readiness = probe(url + "/readyz", ANSWER_WITHIN_S, key)
    ready = readiness.status == 200
    numbers = _numbers(probe(url + "/metrics", ANSWER_WITHIN_S, key).body.decode(errors="replace"))
    return Status(
        "ready" if ready else "not ready", "" if ready else readiness.reason, instance, processes, numbers
    )


def _numbers(text: str) -> dict[str, float]:
    totals: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(text):
            if family.name in NUMBERS:
                totals[family.name] = sum(
                    sample.value for sample in family.samples if not sample.name.endswith("_created")
                )
    except ValueError:  # the service was not ready to say
        return {}
    return totals


def _show(found: Status, files: InstanceFiles, say: Say) -> None:
    if found.instance is None:
        say(f"Logray is stopped ({files.data_dir})")
        if found.processes:
            say(f"{len(found.processes)} processes are left of it: `logray down` ends them")
        return
    instance = found.instance
    since = datetime.fromtimestamp(instance.started_at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    say(f"Logray is {found.state}" + (f": {found.reason}" if found.reason else ""))
    say(f"  HTTP           {base_url(instance.http)}")
    say(f"  TCP (syslog)   {instance.tcp or 'off'}")
    say(f"  Ray dashboard  {f'http://{instance.dashboard}' if instance.dashboard else 'off'}")
    say(f"  data           {files.data_dir}")
    say(f"  since          {since}")
    for name, title in NUMBERS.items():
        if name in found.numbers:
            say(f"  {found.numbers[name]:>14,.0f} {title}")
    if found.processes:
        total = sum(process.rss_bytes for process in found.processes)
        say(f"  {len(found.processes)} processes, {total / 1e6:,.0f} MB:")
        for process in sorted(found.processes, key=lambda process: -process.rss_bytes):
            say(f"    {process.pid:>8} {process.rss_bytes / 1e6:>7,.0f} MB  {process.title[:80]}")


def _as_json(found: Status) -> dict[str, Any]:
    return {
        "state": found.state,
        "reason": found.reason,
        "instance": asdict(found.instance) if found.instance else None,
        "uptime_s": round(time.time() - found.instance.started_at_s) if found.instance else None,
        "numbers": found.numbers,
        "processes": [
            {"pid": process.pid, "title": process.title, "rss_bytes": process.rss_bytes}
            for process in found.processes
        ],
    }
