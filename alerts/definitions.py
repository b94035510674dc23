"""What people wrote, in ClickHouse: rules, escalation policies and maintenance windows, each with a
version.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from alerts.journal import Store

TABLE: Final = "alert_definitions"

Kind = Literal["rule", "policy", "window"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One of them as it was validated, secrets included; `version` is the time of its last change in ns."""

    kind: Kind
    id: str
    version: int
    created_at_ns: int
    body: Mapping[str, Any]
    deleted: bool = False

    def __repr__(self) -> str:  # the body has secrets
        return f"Definition({self.kind} {self.id} at {self.version})"


class Definitions:
    """Reads and writes them; every method blocks, and raises StorageError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, kind: Kind | None = None, deleted_after: int | None = None) -> list[Definition]:
        """All that are not deleted, oldest first; and those that were deleted after that version."""
        where = "NOT deleted" if deleted_after is None else "(NOT deleted OR version > {after:UInt64})"
        parameters: dict[str, Any] = {} if deleted_after is None else {"after": deleted_after}
        if kind is not None:
            where += " AND kind = {kind:String}"
            parameters["kind"] = kind
        return self._select(where, parameters)

    def one(self, kind: Kind, id_: str) -> Definition | None:
        """That one, unless it is deleted or never was."""
        found = self._select(
            "NOT deleted AND kind = {kind:String} AND id = {id:String}", {"kind": kind, "id": id_}
        )
        return found[0] if found else None

    def put(self, definition: Definition) -> None:
        """Write a version; it is durable when this returns."""
        row = {
            "kind": definition.kind,
            "id": definition.id,
            "version": definition.version,
            "deleted": definition.deleted,
            "created_at_ns": definition.created_at_ns,
            "body": json.dumps(definition.body, ensure_ascii=False),
        }
        self._store.insert(TABLE, [row])

    def _select(self, where: str, parameters: Mapping[str, Any]) -> list[Definition]:
        # FINAL first, the condition afterwards: an older row must not pass it in place of the newest.
        rows = self._store.select(
            f"SELECT * FROM (SELECT kind, id, version, created_at_ns, body, deleted FROM {TABLE} FINAL)"
            f" WHERE {where} ORDER BY created_at_ns, id",
            parameters,
        )
        return [
            Definition(
                row["kind"],
                row["id"],
                row["version"],
                row["created_at_ns"],
                json.loads(row["body"]),
                bool(row["deleted"]),
            )
            for row in rows
        ]
