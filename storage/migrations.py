"""Schema changes: numbered SQL files, applied in order at every start.

A file `NNNN_name.sql` holds statements that each end with `;` at the end of a line. **Every statement must
be harmless when run again** (`IF NOT EXISTS`, `IF EXISTS`): a start may die between two of them, and two
starters may run them at the same time. What was applied is kept with a checksum, so that a file changed
later is noticed.

One text serves a single node and a cluster. The places are rendered as follows:

    {local:logs}        logs                        logs_local
    {on_cluster}                                    ON CLUSTER 'name'
    {engine:MergeTree}  MergeTree                   ReplicatedMergeTree
    {settings}          deduplication, fsync, …     the same for replicas
    {distributed:logs:intHash64(seq)};  nothing     CREATE TABLE logs … ENGINE = Distributed(…)
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import IncompatibleTables
from storage.clickhouse import ClickHouse

DIRECTORY: Final = Path(__file__).parent / "migrations"

# How many inserted parts are remembered. One insert of logs of many days is one part a day, and all that lies
# in a WAL may be sent again after a crash.
DEDUPLICATION_WINDOW: Final = 50_000
DEDUPLICATION_WINDOW_S: Final = 30 * 24 * 3600

# A merge costs as much as a quarter of an insert: with a base of 10 instead of 5 a log is merged a third less
# often, for about twice the parts (docs/performance.md).
FEWER_MERGES: Final = "merge_selector_base = 10"

SCHEMA_MIGRATIONS: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations {on_cluster}
(
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC')
)
ENGINE = {engine:ReplacingMergeTree} ORDER BY version
"""

_PLACE: Final = re.compile(
    r"\{(?P<place>local|on_cluster|engine|settings|distributed)(?::(?P<text>[^}]*))?\}"
)
_FILE_NAME: Final = re.compile(r"^(\d{4})_(\w+)\.sql$")
_COMMENT: Final = re.compile(r"^\s*--.*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the file as it is written, whatever it is rendered for."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, cluster: str | None, database: str) -> list[str]:
        """The statements for a single node (no cluster) or for a cluster's name."""
        pieces = re.split(r";[ \t]*(?:\n|\Z)", _COMMENT.sub("", self.text))
        rendered = (render(piece, cluster, database).strip() for piece in pieces)
        return [statement for statement in rendered if statement]


def migrate(clickhouse: ClickHouse, cluster: str | None = None, directory: Path = DIRECTORY) -> list[str]:
    """Create the database, apply what is missing, and return the names of what was applied.

    Raises IncompatibleTables when a file was changed after it was applied.
    """
    database = clickhouse.database
    create = f"CREATE DATABASE IF NOT EXISTS `{database}` {{on_cluster}}"
    clickhouse.command(render(create, cluster, database), use_database=False)
    clickhouse.command(render(SCHEMA_MIGRATIONS, cluster, database))
    known = {
        int(row["version"]): str(row["checksum"])
        for row in clickhouse.rows("SELECT version, checksum FROM schema_migrations FINAL")
    }
    applied = []
    for migration in read_migrations(directory):
        if known.get(migration.version, migration.checksum) != migration.checksum:
            raise IncompatibleTables(
                f"cannot migrate: {migration.name} was changed after it had been applied: another version of"
                " Logray made these tables; go on with that one, or with an empty database or data directory"
            )
        if migration.version not in known:
            _apply(clickhouse, migration, cluster)
            applied.append(migration.name)
    return applied


def read_migrations(directory: Path = DIRECTORY) -> list[Migration]:
    """All migrations in their order; the numbers must be 1, 2, 3, …"""
    found = []
    for file in sorted(directory.glob("*.sql")):
        match = _FILE_NAME.match(file.name)
        assert match, f"{file.name} is not named NNNN_name.sql"
        found.append(Migration(int(match.group(1)), file.stem, file.read_text()))
    assert [migration.version for migration in found] == list(range(1, len(found) + 1)), "numbers must follow"
    return found


def render(text: str, cluster: str | None, database: str) -> str:
    """Fill the places of a statement for a single node (no cluster) or for a cluster's name."""

    def fill(match: re.Match[str]) -> str:
        place, text = match["place"], match["text"] or ""
        if cluster is None:
            return _single(place, text)
        return _replicated(place, text, cluster, database)

    return _PLACE.sub(fill, text)


def _single(place: str, text: str) -> str:
    return {
        "local": text,
        "on_cluster": "",
        "engine": text,
        "settings": f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}, "
        f"fsync_after_insert = 1, fsync_part_directory = 1, {FEWER_MERGES}, "
        # The embedded ClickHouse has 4 merge slots; by default large merges would wait for 8 free ones.
        "number_of_free_entries_in_pool_to_lower_max_size_of_merge = 2",
        "distributed": "",
    }[place]


def _replicated(place: str, text: str, cluster: str, database: str) -> str:
    if place == "distributed":
        table, _, sharding_key = text.partition(":")
        return (
            f"CREATE TABLE IF NOT EXISTS {table} ON CLUSTER '{cluster}' AS {table}_local\n"
            f"ENGINE = Distributed('{cluster}', '{database}', '{table}_local', {sharding_key})"
        )
    return {
        "local": f"{text}_local",
        "on_cluster": f"ON CLUSTER '{cluster}'",
        "engine": f"Replicated{text}",
        "settings": f"replicated_deduplication_window = {DEDUPLICATION_WINDOW}, "
        f"replicated_deduplication_window_seconds = {DEDUPLICATION_WINDOW_S}, "
        f"fsync_after_insert = 1, fsync_part_directory = 1, {FEWER_MERGES}",
    }[place]


def _apply(clickhouse: ClickHouse, migration: Migration, cluster: str | None) -> None:
    for statement in migration.statements(cluster, clickhouse.database):
        clickhouse.command(statement)
    clickhouse.command(
        "INSERT INTO schema_migrations "
        "SELECT {version:UInt32}, {name:String}, {checksum:String}, now64(3, 'UTC')",
        {"version": migration.version, "name": migration.name, "checksum": migration.checksum},
    )
