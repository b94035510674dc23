"""A start that cannot succeed ends soon, says why, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.instance import ROOT
from cli.instance import InstanceFiles
from cli.ports import free_ports
from cli.processes import processes_of
from core.settings import ENVIRONMENT_PREFIX
from storage.clickhouse import ClickHouse
from storage.embedded.service import EmbeddedClickHouse
from storage.migrations import migrate

# Far less than a start may take (180 s), far more than this one needs (10 s).
SOON_S = 90


def test_tables_of_another_version_are_refused_at_once(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    made_by_another_version(data_dir)
    http, tcp = free_ports(2)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    settings = {
        "LOGRAY_DATA_DIR": str(data_dir),
        "LOGRAY_HTTP_PORT": str(http),
        "LOGRAY_TCP_PORT": str(tcp),
    }
    answer = subprocess.run(
        [sys.executable, "-m", "cli.main", "up"],
        cwd=ROOT,
        env={**clean, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=SOON_S,
    )
    assert answer.returncode == 1
    assert "cannot start: storage: cannot migrate: 0001_logs was changed" in answer.stderr
    assert "another version of Logray made these tables" in answer.stderr
    assert not processes_of(InstanceFiles(data_dir).id)


def made_by_another_version(data_dir: Path) -> None:
    store = EmbeddedClickHouse(data_dir)
    clickhouse = ClickHouse(store.url())
    migrate(clickhouse)
    clickhouse.command("INSERT INTO schema_migrations SELECT 1, '0001_logs', 'another', now64(3, 'UTC')")
    clickhouse.close()
    store.close()
