"""kill -9 of each part, and of everything, under load: what was acknowledged is stored, each log once."""

import os
import random
import signal
import tempfile
from pathlib import Path

import pytest

from benchmarks.instance import Instance, logray, running_instance
from cli.instance import InstanceFiles
from cli.ports import free_ports
from cli.processes import processes_of, send
from tests.running.client import Client, wait_until
from tests.running.load import load_on, verdict_of

KILLS = 10


@pytest.mark.parametrize("title", ["PartitionWriterActor", "EmbeddedClickHouseActor", "ServeReplica:ingest"])
def test_killing_a_part_loses_and_doubles_nothing(instance: Instance, title: str) -> None:
    pause = random.Random(title)
    with load_on(instance) as load:
        load.wait_for_progress()
        for _ in range(KILLS):
            pid = wait_until(lambda: pid_of(instance.instance_id, title), f"a process {title}", 60)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists() or None, "its end")
            load.wait_for_progress(pause.randrange(1000, 4000))
    verdict = verdict_of(load.ledger, instance)
    assert verdict.acknowledged > 0
    assert (verdict.lost, verdict.doubled) == (0, 0)


def test_killing_everything_at_once_loses_and_doubles_nothing() -> None:
    http, tcp = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="logray-kill-") as directory:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LOGRAY_")
        } | {
            "LOGRAY_DATA_DIR": directory,
            "LOGRAY_HTTP_PORT": str(http),
            "LOGRAY_TCP_PORT": str(tcp),
        }
        try:
            logray("up", environment)
            instance = running_instance(Path(directory), environment)
            with load_on(instance) as load:
                for _ in range(KILLS):
                    load.wait_for_progress()
                    send(processes_of(instance.instance_id), signal.SIGKILL)
                    logray("up", environment)
                load.wait_for_progress()
            verdict = verdict_of(load.ledger, instance)
            assert (verdict.lost, verdict.doubled) == (0, 0)

            # An orderly restart keeps everything as well.
            stored = load.ledger.stored_logs(instance.store)
            logray("down", environment)
            assert not processes_of(instance.instance_id)
            assert not InstanceFiles(Path(directory)).temporary_dir.exists()
            logray("up", environment)
            assert load.ledger.stored_logs(running_instance(Path(directory), environment).store) == stored
            client = Client(instance.url, instance.api_key)
            assert client.get("/readyz").status_code == 200
        finally:
            logray("down", environment)


def pid_of(instance_id: str, title: str) -> int | None:
    """The process that runs an actor or replica; idle workers are named otherwise."""
    found = [process.pid for process in processes_of(instance_id) if title in process.title]
    return found[0] if found else None
