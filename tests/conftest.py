"""What many tests need: a real embedded ClickHouse in its own process, and a database for each test."""

import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from storage.clickhouse import ClickHouse
from storage.embedded.endpoint import embedded_url
from storage.migrations import migrate

ROOT = Path(__file__).parent.parent


class EmbeddedProcess:
    """`python -m storage.embedded` on a data directory; it ends with this process, however that ends."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._process: subprocess.Popen[str]
        self.start()

    @property
    def url(self) -> SecretStr:
        url = embedded_url(self.data_dir)
        assert url is not None
        return url

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "storage.embedded", str(self.data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """As `kill -9` does."""
        self._process.kill()
        self._reap()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._reap()

    def _reap(self) -> None:
        self._process.wait(30)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="session")
def embedded_process() -> Iterator[EmbeddedProcess]:
    """One embedded ClickHouse for the whole test session."""
    with tempfile.TemporaryDirectory(prefix="logray-clickhouse-") as directory:
        process = EmbeddedProcess(Path(directory))
        yield process
        process.stop()


@pytest.fixture
def clickhouse_url(embedded_process: EmbeddedProcess) -> Iterator[SecretStr]:
    """The URL of a database that only this test knows, without tables; dropped afterwards."""
    parts = urlsplit(embedded_process.url.get_secret_value())
    name = f"test_{uuid.uuid4().hex[:12]}"
    admin = ClickHouse(embedded_process.url)
    admin.command(f"CREATE DATABASE {name}", use_database=False)
    yield SecretStr(parts._replace(path=f"/{name}").geturl())
    admin.command(f"DROP DATABASE {name} SYNC", use_database=False)
    admin.close()


@pytest.fixture
def empty_clickhouse(clickhouse_url: SecretStr) -> Iterator[ClickHouse]:
    """A client of a database without tables."""
    client = ClickHouse(clickhouse_url)
    yield client
    client.close()


@pytest.fixture
def clickhouse(empty_clickhouse: ClickHouse) -> ClickHouse:
    """A client of a fresh database with all of Logray's tables."""
    migrate(empty_clickhouse)
    return empty_clickhouse
