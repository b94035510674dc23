"""Migrations are applied once, whoever starts, and a changed file is noticed."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.errors import IncompatibleTables
from storage.clickhouse import ClickHouse
from storage.migrations import DIRECTORY, migrate, read_migrations, render

NAMES = [migration.name for migration in read_migrations()]


def test_the_first_start_creates_the_database_and_its_tables(empty_clickhouse: ClickHouse) -> None:
    empty_clickhouse.command(f"DROP DATABASE {empty_clickhouse.database}", use_database=False)
    assert migrate(empty_clickhouse) == NAMES
    tables = {row["name"] for row in empty_clickhouse.rows("SHOW TABLES")}
    assert tables >= {
        "logs",
        "logs_per_minute",
        "logs_per_hour",
        "dead_letters",
        "wal_partitions",
        "schema_migrations",
    }


def test_a_second_start_changes_nothing(clickhouse: ClickHouse) -> None:
    assert migrate(clickhouse) == []


def test_starters_at_the_same_time_do_no_harm(clickhouse_url: SecretStr) -> None:
    clients = [ClickHouse(clickhouse_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate, clients))
    assert migrate(clients[0]) == []
    versions = clients[0].rows("SELECT version FROM schema_migrations FINAL ORDER BY version")
    assert [row["version"] for row in versions] == list(range(1, len(NAMES) + 1))


def test_a_start_that_died_half_way_is_taken_up(empty_clickhouse: ClickHouse) -> None:
    migrate(empty_clickhouse)
    empty_clickhouse.command("TRUNCATE TABLE schema_migrations")
    empty_clickhouse.command("DROP TABLE dead_letters")
    assert migrate(empty_clickhouse) == NAMES
    assert empty_clickhouse.rows("EXISTS TABLE dead_letters") == [{"result": 1}]


def test_every_statement_is_harmless_when_run_again(clickhouse: ClickHouse) -> None:
    for migration in read_migrations():
        for statement in migration.statements(None, clickhouse.database):
            clickhouse.command(statement)


def test_a_changed_file_stops_the_start(clickhouse: ClickHouse, tmp_path: Path) -> None:
    shutil.copytree(DIRECTORY, tmp_path / "m")
    file = tmp_path / "m" / f"{NAMES[0]}.sql"
    file.write_text(file.read_text() + "\n-- changed\n")
    with pytest.raises(IncompatibleTables, match=rf"{NAMES[0]} was changed"):
        migrate(clickhouse, directory=tmp_path / "m")


def test_a_new_file_is_applied_alone(clickhouse: ClickHouse, tmp_path: Path) -> None:
    shutil.copytree(DIRECTORY, tmp_path / "m")
    name = f"{len(NAMES) + 1:04d}_more"
    text = "CREATE TABLE IF NOT EXISTS more (a UInt8) ENGINE = {engine:MergeTree} ORDER BY a;\n"
    (tmp_path / "m" / f"{name}.sql").write_text(text)
    assert migrate(clickhouse, directory=tmp_path / "m") == [name]
    assert clickhouse.rows("EXISTS TABLE more") == [{"result": 1}]


def test_numbers_must_follow(tmp_path: Path) -> None:
    (tmp_path / "0002_x.sql").write_text("")
    with pytest.raises(AssertionError, match="numbers must follow"):
        read_migrations(tmp_path)


@pytest.mark.parametrize(
    ("text", "single", "replicated"),
    [
        ("{local:logs}", "logs", "logs_local"),
        ("{on_cluster}", "", "ON CLUSTER 'c'"),
        ("{engine:MergeTree}", "MergeTree", "ReplicatedMergeTree"),
        ("{engine:SummingMergeTree}(rows)", "SummingMergeTree(rows)", "ReplicatedSummingMergeTree(rows)"),
        (
            "{distributed:logs:rand()}",
            "",
            "CREATE TABLE IF NOT EXISTS logs ON CLUSTER 'c' AS logs_local\n"
            "ENGINE = Distributed('c', 'd', 'logs_local', rand())",
        ),
        ("{version:UInt32}", "{version:UInt32}", "{version:UInt32}"),
    ],
)
def test_places_are_rendered(text: str, single: str, replicated: str) -> None:
    assert render(text, None, "d") == single
    assert render(text, "c", "d") == replicated


def test_on_a_cluster_every_table_is_replicated_and_reached_from_every_node() -> None:
    statements = [s for migration in read_migrations() for s in migration.statements("c", "d")]
    for statement in statements:
        assert "ON CLUSTER 'c'" in statement
        # What may be run again: to make what is there, or to set what is set.
        assert "IF NOT EXISTS" in statement or " MODIFY SETTING " in statement
        assert not re.search(r"\{(local|on_cluster|engine|settings|distributed)", statement)
        if " ENGINE = " in statement.replace("\n", " ") and "Distributed(" not in statement:
            assert "ENGINE = Replicated" in statement
            assert "replicated_deduplication_window" in statement
    created = set(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", "\n".join(statements)))
    for table in created:
        assert table.endswith("_local") != (f"{table}_local" in created)


@pytest.mark.parametrize("table", ["logs", "logs_per_minute", "logs_per_hour", "dead_letters"])
def test_inserts_are_durable_and_deduplicated(clickhouse: ClickHouse, table: str) -> None:
    (row,) = clickhouse.rows(f"SHOW CREATE TABLE {table}")
    for setting in (
        "non_replicated_deduplication_window",
        "fsync_after_insert = 1",
        "fsync_part_directory = 1",
    ):
        assert setting in row["statement"]
