"""The journal: states, history, notices, deliveries and commands of all rules, in one table of ClickHouse.

What belongs together is one insert, which is there as a whole or not at all. Rows have keys made of what they
say, so that a repeated insert replaces its own rows.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from alerts.commands import Command, command_from_json
from alerts.machine import Entry
from alerts.state import RuleState, state_from_json, state_to_json

TABLE: Final = "alert_journal"
FOR_EVER_S: Final = 4_294_967_295  # the last second of a DateTime, in 2106
DAY_S: Final = 86_400
PENDING_MAX: Final = 2_000  # notices of one look
UNFINISHED_MAX: Final = 50_000  # deliveries that a new notifier takes up
DONE_VERSION: Final = 1 << 63  # more than any time in ns: nothing takes back what is done

Row = dict[str, Any]


class Store(Protocol):
    """alerts.clickhouse_http.ClickHouseHttp is one; both methods block."""

    def select(
        self, sql: str, parameters: Mapping[str, Any] | None = None, timeout_s: float = 30.0
    ) -> list[dict[str, Any]]:
        """The rows of a SELECT by column name."""
        ...

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]], timeout_s: float = 30.0) -> None:
        """Insert all rows as one block."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a rule's history: a history entry or a notice, with what became of it."""

    kind: str
    key: str
    at_ns: int
    group: str
    body: dict[str, Any]


class Journal:
    """Reads and writes the journal; history and notices are kept for `retention_days`."""

    def __init__(self, store: Store, retention_days: int = 90) -> None:
        self._store, self._retention_s = store, retention_days * DAY_S

    def write(self, rows: Sequence[Row]) -> None:
        """Insert rows as one block."""
        if rows:
            self._store.insert(TABLE, rows)

    def state_row(self, rule_id: str, state: RuleState, at_ns: int) -> Row:
        """The state of a rule; the one with the highest revision counts."""
        return self._row(rule_id, "state", "", at_ns, state_to_json(state), version=state.revision)

    def entry_rows(self, rule_id: str, entries: Sequence[Entry], scope: str, at_ns: int) -> list[Row]:
        """History; `scope` names what it comes from (an evaluation, a command), and makes the keys unique."""
        return [
            self._row(
                rule_id,
                "history",
                f"{scope}-{number:03d}",
                at_ns + number,
                json.dumps({"event": entry.kind, **entry.detail}, ensure_ascii=False),
                group=entry.group,
            )
            for number, entry in enumerate(entries)
        ]

    def notice_row(self, rule_id: str, key: str, group: str, body: Mapping[str, Any], at_ns: int) -> Row:
        """A notice to one target, to be sent."""
        return self._row(rule_id, "notice", key, at_ns, json.dumps(body, ensure_ascii=False), group=group)

    def delivery_row(
        self,
        rule_id: str,
        key: str,
        group: str,
        body: Mapping[str, Any],
        at_ns: int,
        *,
        done: bool,
    ) -> Row:
        """What became of a notice; the newest counts, and once `done` it is over whatever the clocks say."""
        text = json.dumps(body, ensure_ascii=False)
        version = at_ns + (DONE_VERSION if done else 0)
        return self._row(rule_id, "delivery", key, at_ns, text, group=group, version=version, done=done)

    def command_row(self, rule_id: str, command: Command) -> Row:
        """A command to a rule, to be carried out."""
        return self._row(rule_id, "command", f"{command.version:020d}", command.version, command.to_json())

    def state(self, rule_id: str) -> RuleState:
        """The last state of a rule, a new one if it never had any."""
        return self.states([rule_id]).get(rule_id, RuleState())

    def states(self, rule_ids: Sequence[str]) -> dict[str, RuleState]:
        """The last states of these rules, as far as there are any."""
        rows = self._store.select(
            f"SELECT rule_id, body FROM {TABLE} FINAL"
            " WHERE kind = 'state' AND rule_id IN {ids:Array(String)}",
            {"ids": list(rule_ids)},
        )
        return {row["rule_id"]: state_from_json(row["body"]) for row in rows}

    def commands(self, after: Mapping[str, int]) -> dict[str, list[Command]]:
        """The commands to these rules after the versions given, oldest first."""
        rows = self._store.select(
            f"SELECT rule_id, body FROM {TABLE} FINAL"
            " WHERE kind = 'command' AND rule_id IN {ids:Array(String)} AND key > {after:String}"
            " ORDER BY key",
            {"ids": list(after), "after": f"{min(after.values(), default=0):020d}"},
        )
        found: dict[str, list[Command]] = {}
        for row in rows:
            command = command_from_json(row["body"])
            if command.version > after[row["rule_id"]]:
                found.setdefault(row["rule_id"], []).append(command)
        return found

    def pending_notices(self, since_ns: int, after: tuple[int, str] | None = None) -> list[Line]:
        """Notices from then on that nobody has done with, the oldest PENDING_MAX `after` a time and key."""
        place = "" if after is None else " AND (at, key) > ({at:DateTime64(9, 'UTC')}, {key:String})"
        rows = self._store.select(
            "SELECT rule_id, key, group_name, toUnixTimestamp64Nano(at) AS at_ns, body"
            f" FROM {TABLE} FINAL WHERE kind = 'notice' AND at >= {{since:DateTime64(9, 'UTC')}}{place}"
            f" AND key GLOBAL NOT IN (SELECT key FROM {TABLE} FINAL WHERE kind = 'delivery' AND done"
            " AND at >= {since:DateTime64(9, 'UTC')})"
            f" ORDER BY at, key LIMIT {PENDING_MAX}",
            {"since": moment(since_ns)}
            | ({} if after is None else {"at": moment(after[0]), "key": after[1]}),
        )
        return [Line("notice", r["key"], r["at_ns"], r["group_name"], json.loads(r["body"])) for r in rows]

    def unfinished(self, since_ns: int) -> dict[str, dict[str, Any]]:
        """How far the deliveries have come that were tried from then on and are not done with, by key."""
        rows = self._store.select(
            f"SELECT key, body FROM {TABLE} FINAL WHERE kind = 'delivery' AND NOT done"
            f" AND at >= {{since:DateTime64(9, 'UTC')}} ORDER BY at DESC LIMIT {UNFINISHED_MAX}",
            {"since": moment(since_ns)},
        )
        return {row["key"]: json.loads(row["body"]) for row in rows}

    def history(self, rule_id: str, before: tuple[int, str] | None, limit: int) -> list[Line]:
        """A page of a rule's history, newest first; `before` is the place (time and key) where the last
        page ended.
        """
        place = "" if before is None else " AND (at, key) < ({at:DateTime64(9, 'UTC')}, {key:String})"
        rows = self._store.select(
            "SELECT kind, key, group_name, toUnixTimestamp64Nano(at) AS at_ns, body"
            f" FROM {TABLE} FINAL WHERE rule_id = {{id:String}} AND kind IN ('history', 'notice'){place}"
            " ORDER BY at DESC, key DESC LIMIT {limit:UInt64}",
            {"id": rule_id, "limit": limit}
            | ({} if before is None else {"at": moment(before[0]), "key": before[1]}),
        )
        return [Line(r["kind"], r["key"], r["at_ns"], r["group_name"], json.loads(r["body"])) for r in rows]

    def deliveries(self, rule_id: str, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What became of these notices of a rule, by key."""
        rows = self._store.select(
            f"SELECT key, body FROM {TABLE} FINAL WHERE rule_id = {{id:String}} AND kind = 'delivery'"
            " AND key IN {keys:Array(String)}",
            {"id": rule_id, "keys": list(keys)},
        )
        return {row["key"]: json.loads(row["body"]) for row in rows}

    def _row(
        self,
        rule_id: str,
        kind: str,
        key: str,
        at_ns: int,
        body: str,
        *,
        group: str = "",
        version: int = 0,
        done: bool = False,
    ) -> Row:
        keeps = kind == "state"
        return {
            "rule_id": rule_id,
            "kind": kind,
            "key": key,
            "version": version,
            "at": moment(at_ns),
            "group_name": group,
            "done": done,
            "body": body,
            "expires_at": FOR_EVER_S if keeps else min(at_ns // 10**9 + self._retention_s, FOR_EVER_S),
        }


def notice_key(rule_id: str, group: str, episode: int, kind: str, number: int, target_id: str) -> str:
    """The idempotency key of a notice: the same for the same notice, however often it is made."""
    text = json.dumps([rule_id, group, episode, kind, number, target_id])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def moment(at_ns: int) -> str:
    """A time as ClickHouse's DateTime64(9) is written."""
    seconds, fraction = divmod(at_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{fraction:09d}"
