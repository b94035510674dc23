"""The fields with a column of their own, as the planner knows them: more of them as searches ask for them."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from core.errors import LograyError
from core.own_columns import OWN_COLUMNS_MAX
from query.catalog import field_named
from query.column_choice import ColumnChoice
from query.render_index import few_values_statement
from query.session import Session
from storage.clickhouse import ClickHouse
from storage.own_columns import add_own_columns, own_columns

VALUES_MAX: Final = 10_000  # different ones: with more a column is no smaller than the map

log = logging.getLogger(__name__)


class OwnColumns:
    """Gives a column to a field that is asked for often: to `chosen_max` fields beside those of the settings.

    The table knows which have one, so that the bound holds over restarts.
    """

    def __init__(
        self,
        store: ClickHouse,
        configured: Iterable[str],
        chosen_max: int,
        choice: ColumnChoice,
        values_max: int = VALUES_MAX,
    ) -> None:
        self._store, self._choice, self._values_max = store, choice, values_max
        self._configured, self._chosen_max = frozenset(configured), chosen_max
        self.fields: frozenset[str] = frozenset()
        self._adding = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self) -> None:
        """Look which there are. Raises StorageError."""
        self.fields = await asyncio.to_thread(own_columns, self._store)

    def note(self, session: Session) -> None:
        """Look at what a search read, and begin to add a column where that is due."""
        for field in self._choice.note(session.ran, session.overdue):
            task = asyncio.create_task(self._add(field))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Return when no column is being added."""
        await asyncio.gather(*self._tasks)

    async def _add(self, field: str) -> None:
        async with self._adding:  # one by one: each counts for the next
            try:
                if self._has_room(field) and await asyncio.to_thread(self._add_if_few, field):
                    self.fields |= {field}
                    log.info("%r is asked for often: it has a column of its own now", field)
            except LograyError as error:
                log.warning("cannot give %r a column of its own: %s", field, error)

    def _has_room(self, field: str) -> bool:
        chosen = self.fields - self._configured
        return (
            field not in self.fields and len(chosen) < self._chosen_max and len(self.fields) < OWN_COLUMNS_MAX
        )

    def _add_if_few(self, field: str) -> bool:
        statement = few_values_statement(field_named(field), self._store.database, self._values_max)
        ((few,),) = self._store.query(statement.sql, statement.parameters, statement.settings).rows
        if few:
            add_own_columns(self._store, [field])
        return bool(few)
