"""Gives fields a column of their own: what scans them reads one small column instead of all fields."""

from collections.abc import Iterable
from typing import Final

from core.own_columns import OWN_COLUMN_PREFIX, own_column
from core.packed_fields import prefix, value_sql
from storage.clickhouse import ClickHouse
from storage.migrations import render

# Few different values are what such a field has: the table keeps each once a block. What is inserted without
# the column is read through its DEFAULT, from the packed fields.
ADD: Final = (
    "ALTER TABLE {{local:logs}} {{on_cluster}} ADD COLUMN IF NOT EXISTS {column} LowCardinality(String)"
    " DEFAULT {value} CODEC(Default)"
)
ADD_DISTRIBUTED: Final = (
    "ALTER TABLE logs {{on_cluster}} ADD COLUMN IF NOT EXISTS {column} LowCardinality(String)"
)
# In the background, and for speed alone: without it old parts get the column when they are merged.
FILL: Final = "ALTER TABLE {{local:logs}} {{on_cluster}} MATERIALIZE COLUMN {column}"

COLUMNS: Final = (
    "SELECT name FROM system.columns WHERE database = {database:String} AND table = 'logs'"
    " AND startsWith(name, {prefix:String})"
)


def own_columns(clickhouse: ClickHouse) -> frozenset[str]:
    """The fields that have one."""
    parameters = {"database": clickhouse.database, "prefix": OWN_COLUMN_PREFIX}
    rows = clickhouse.query(COLUMNS, parameters).rows
    return frozenset(str(name).removeprefix(OWN_COLUMN_PREFIX) for (name,) in rows)


def add_own_columns(clickhouse: ClickHouse, fields: Iterable[str], cluster: str | None = None) -> list[str]:
    """Give each of the fields a column, and return those that had none. Raises StorageError."""
    there = own_columns(clickhouse)
    missing = [field for field in dict.fromkeys(fields) if field not in there]
    for field in missing:
        for template in (ADD, *([ADD_DISTRIBUTED] if cluster else []), FILL):
            statement = template.format(column=own_column(field), value=value_sql(f"'{prefix(field)}'"))
            clickhouse.command(render(statement, cluster, clickhouse.database))
    return missing
