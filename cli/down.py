"""`logray down`: stop an instance in order, then make sure that nothing of it is left."""

import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cli.drain import DrainOrder
from cli.environment import source_root
from cli.instance import Instance, InstanceFiles
from cli.processes import Process, processes_of, send, stop_all
from core.settings import Settings

Say = Callable[[str], None]

DRAIN_WITHIN_S = 40.0
REMOVE_WITHIN_S = 150.0  # from a cluster that stays: Serve lets each replica finish what it has
TERMINATE_WITHIN_S = 5.0
OPEN_REQUESTS_WITHIN_S = 5.0
KEPT_LOGS = 3
RAY_SERVERS = {"gcs_server", "raylet"}


def down(settings: Settings, say: Say) -> int:
    """Stop the instance of the settings' data directory; also after a crash of any of its parts."""
    files = InstanceFiles(settings.data_dir)
    if not files.run_dir.exists() and not processes_of(files.id):
        say(f"Logray is not running in {files.data_dir}")
        return 0
    with files.locked():
        instance, running = files.read(), processes_of(files.id)
        if instance is None and not running:
            say(f"Logray is not running in {files.data_dir}")
        if instance is not None and instance.existing_cluster:
            _drain(instance, {}, say)
        elif instance is not None and {process.program for process in running} >= RAY_SERVERS:
            _close_the_door(files)
            _drain(instance, _environment_of(running), say)
        clean_up(files, say)
        if instance is not None or running:
            say("stopped")
    return 0


def clean_up(files: InstanceFiles, say: Say) -> None:
    """End the processes that are left, keep their logs, remove record and temporary files."""
    if left := processes_of(files.id):
        say(f"ending {len(left)} processes")
        stop_all(files.id, TERMINATE_WITHIN_S)
    _keep_logs(files)
    shutil.rmtree(files.temporary_dir, ignore_errors=True)
    files.record.unlink(missing_ok=True)


def _close_the_door(files: InstanceFiles) -> None:
    """HAProxy stops listening, finishes its requests and ends (SIGUSR1, a soft stop)."""
    deadline_s = time.monotonic() + OPEN_REQUESTS_WITHIN_S
    proxies = [process for process in processes_of(files.id) if process.program == "haproxy"]
    send(proxies, signal.SIGUSR1)
    pids = {process.pid for process in proxies}
    while time.monotonic() < deadline_s and any(process.pid in pids for process in processes_of(files.id)):
        time.sleep(0.05)


def _drain(instance: Instance, environment: dict[str, str], say: Say) -> None:
    """Have the buffers written to storage. When it fails nothing is lost: the WAL has it."""
    say("writing what is buffered")
    within_s = DRAIN_WITHIN_S + (REMOVE_WITHIN_S if instance.existing_cluster else 0.0)
    order = DrainOrder(instance.ray_address, instance.existing_cluster)
    try:
        subprocess.run(
            [sys.executable, "-m", "cli.drain"],
            input=pickle.dumps(order),
            cwd=source_root(),
            env=environment or None,
            timeout=within_s,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
        )
    except subprocess.TimeoutExpired:
        say(f"  not finished after {within_s:.0f} s; the next start goes on from the WAL")
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        say(f"  it failed: {lines[-1] if lines else error}; the next start goes on from the WAL")


def _environment_of(running: list[Process]) -> dict[str, str]:
    """The environment that the instance was started with, read from one of its processes."""
    raylet = next(process for process in running if process.program == "raylet")
    content = Path(f"/proc/{raylet.pid}/environ").read_bytes().decode(errors="surrogateescape")
    return dict(entry.split("=", 1) for entry in content.split("\0") if "=" in entry)


def _keep_logs(files: InstanceFiles) -> None:
    """Move the logs of the last run into the data directory; the oldest go."""
    files.current_logs.unlink(missing_ok=True)
    for session in sorted(files.temporary_dir.glob("session_2*")):
        if session.is_symlink() or not (session / "logs").is_dir():
            continue
        kept = files.logs_dir / session.name.removeprefix("session_")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(session / "logs", kept)
    runs = sorted(path for path in files.logs_dir.iterdir() if path.is_dir())
    for old in runs[:-KEPT_LOGS]:
        shutil.rmtree(old, ignore_errors=True)
