"""The embedded ClickHouse's actor: answers at its URL, tells what it holds, and closes."""

from pathlib import Path

import pytest

from actors.embedded_clickhouse import EmbeddedClickHouseActor
from core.errors import StorageError
from core.settings import ClickHouseSettings
from storage.clickhouse import ClickHouse
from storage.embedded import engine
from storage.migrations import migrate
from tests.conftest import EmbeddedProcess


async def test_a_directory_that_is_open_elsewhere_is_refused(
    embedded_process: EmbeddedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOCK_WAIT_S", 0.0)
    with pytest.raises(StorageError, match=f"the process {embedded_process.pid} has it open"):
        EmbeddedClickHouseActor(ClickHouseSettings(), embedded_process.data_dir)


async def test_it_answers_tells_and_closes(tmp_path: Path) -> None:
    actor = EmbeddedClickHouseActor(ClickHouseSettings(), tmp_path)
    client = ClickHouse(await actor.url())
    migrate(client)
    client.command("INSERT INTO logs (timestamp, message) VALUES (now64(9), 'x')")
    told = await actor.observe()
    assert told["rows"] >= 1
    assert told["url"].startswith("http://127.0.0.1:")
    assert "@" not in told["url"]
    await actor.close()
    await actor.close()
    assert not client.ping()
    client.close()
