"""The instance that a benchmark measures: a temporary one of its own, or one that runs already."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.api_key import load_or_create_api_key
from cli.instance import InstanceFiles
from cli.ports import free_ports
from core.settings import load_settings
from storage.clickhouse import ClickHouse
from storage.embedded.endpoint import embedded_url

ROOT: Final = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Instance:
    """A running Logray: where it answers, its key, and its store."""

    host: str
    port: int
    tcp_port: int
    api_key: str
    instance_id: str
    data_dir: Path
    store: ClickHouse

    @property
    def url(self) -> str:
        """The base of its HTTP API."""
        return f"http://{self.host}:{self.port}"

    def bytes_per_log(self) -> float:
        """Bytes on disk of all log parts, by log."""
        rows, size = self.store.query(
            "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts "
            "WHERE active AND database = {database:String} AND table = 'logs'",
            {"database": self.store.database},
        ).rows[0]
        return round(int(size) / int(rows), 1) if rows else 0.0

    def parts(self) -> int:
        """Active parts of the log table: how far merges have come."""
        sql = (
            "SELECT count() FROM system.parts "
            "WHERE active AND database = {database:String} AND table = 'logs'"
        )
        return int(self.store.query(sql, {"database": self.store.database}).rows[0][0])

    def merges(self) -> dict[str, float]:
        """Merges under way, and since the store began: how many, and how often a stored row was rewritten."""
        (running,) = self.store.query("SELECT count() FROM system.merges").rows[0]
        sql = "SELECT event, value FROM system.events WHERE event IN ('Merge', 'MergedRows', 'InsertedRows')"
        events = {str(event): int(value) for event, value in self.store.query(sql).rows}
        rewritten = events.get("MergedRows", 0) / max(events.get("InsertedRows", 0), 1)
        return {"running": int(running), "done": events.get("Merge", 0), "rewritten": round(rewritten, 2)}


def running_instance(data_dir: Path, environment: Mapping[str, str] = os.environ) -> Instance:
    """The instance that was started on this data directory."""
    data_dir = data_dir.absolute()
    settings = load_settings({**environment, "LOGRAY_DATA_DIR": str(data_dir)})
    files = InstanceFiles(data_dir)
    record = files.read()
    url = settings.clickhouse.url or embedded_url(data_dir)
    if record is None or url is None:
        sys.exit(f"nothing runs in {data_dir}")
    host, _, port = record.http.rpartition(":")
    tcp_port = int(record.tcp.rpartition(":")[2]) if record.tcp else 0
    key = load_or_create_api_key(settings)
    return Instance(host, int(port), tcp_port, key, files.id, data_dir, ClickHouse(url))


@contextmanager
def temporary_instance(settings: Mapping[str, str] | None = None, keep: bool = False) -> Iterator[Instance]:
    """Start an instance on free ports and an empty directory (below TMPDIR), stop and remove it at the end.

    `settings` are further variables, as `{"LOGRAY_WAL_PARTITIONS": "2"}`.
    """
    folder = Path(tempfile.mkdtemp(prefix="logray-bench-"))
    http, tcp = free_ports(2)
    own = {
        "LOGRAY_DATA_DIR": str(folder),
        "LOGRAY_HTTP_PORT": str(http),
        "LOGRAY_TCP_PORT": str(tcp),
        **(settings or {}),
    }
    data_dir = Path(own["LOGRAY_DATA_DIR"])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOGRAY_")}
    environment = {**inherited, **own}
    try:
        logray("up", environment)
        yield running_instance(data_dir, environment)
    finally:
        logray("down", environment)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def logray(command: str, environment: Mapping[str, str]) -> None:
    """Run the command line; raises CalledProcessError with its output shown."""
    subprocess.run(
        [sys.executable, "-m", "cli.main", command],
        cwd=ROOT,
        env=dict(environment),
        check=True,
        stdout=subprocess.DEVNULL,
    )
