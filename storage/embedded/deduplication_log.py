"""Mending the deduplication logs before chDB opens them, so that no acknowledged row is lost to a kill.

MergeTree writes the block id of an insert into `deduplication_logs/deduplication_log_N.txt` *before* it
renames the finished part into place (seen in the system calls of ClickHouse 26.9). A process killed between
the two leaves an id without a part, and the insert's repetition is then dropped as a duplicate. Such ids are
revoked here, with the record that ClickHouse itself writes when a part is dropped. A torn line, after
which ClickHouse would stop reading the log, is taken out.

The format is that of src/Storages/MergeTree/MergeTreeDeduplicationLog.cpp: `1 <tab> part <tab> block id`
adds, `2 …` drops. A part's name is partition, first block, last block, level.
"""

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_ADD: Final = "1"
_DROP: Final = "2"
_PART: Final = re.compile(r"^(?P<partition>[^_]+)_(?P<first>\d+)_(?P<last>\d+)_\d+(?:_\d+)?$")
_LINE: Final = re.compile(r"(?P<operation>[12])\t(?P<part>[^\t\n]+)\t(?P<block_id>[^\n]+)")
_NUMBER: Final = re.compile(r"_(\d+)\.txt$")

Blocks = tuple[str, int, int]  # partition, first and last block number


def mend_deduplication_logs(store: Path) -> int:
    """Revoke the block ids without a part in every table below `store`; returns how many there were.

    Nothing else may have the directory open.
    """
    return sum(_mend(logs) for logs in store.glob("store/*/*/deduplication_logs"))


def _mend(logs: Path) -> int:
    files = sorted(logs.glob("deduplication_log_*.txt"), key=_log_number)
    known: dict[str, str] = {}  # block id → part
    for file in files:
        for operation, part, block_id in _read(file):
            if operation == _ADD:
                known[block_id] = part
            else:
                known.pop(block_id, None)
    present = _Parts(entry.name for entry in logs.parent.iterdir())
    orphans = [(block_id, part) for block_id, part in known.items() if not present.hold(part)]
    if orphans:
        with files[-1].open("a", errors="surrogateescape") as log:
            log.writelines(f"{_DROP}\t{part}\t{block_id}\n" for block_id, part in orphans)
            log.flush()
            os.fsync(log.fileno())
        logger.warning("revoked %d unfinished inserts in %s", len(orphans), logs.parent.name)
    return len(orphans)


def _read(file: Path) -> list[tuple[str, str, str]]:
    """The records of a log; lines that cannot be read, where ClickHouse would stop, are taken out of it."""
    content = file.read_bytes().decode("utf-8", "surrogateescape")
    found = [match for line in content.split("\n")[:-1] if (match := _LINE.fullmatch(line))]
    readable = "".join(f"{match.group()}\n" for match in found)
    if readable != content:
        logger.warning("cannot read all lines of %s: %d bytes left out", file, len(content) - len(readable))
        mended = file.with_suffix(".mended")
        with mended.open("wb") as target:
            target.write(readable.encode("utf-8", "surrogateescape"))
            target.flush()
            os.fsync(target.fileno())
        mended.replace(file)
    return [(match["operation"], match["part"], match["block_id"]) for match in found]


def _log_number(file: Path) -> int:
    match = _NUMBER.search(file.name)
    return int(match.group(1)) if match else 0


class _Parts:
    """The parts of a table that lie on disk, merged ones for the blocks that they were made of."""

    def __init__(self, names: Iterable[str]) -> None:
        self._whole: set[Blocks] = set()
        self._merged: dict[str, list[tuple[int, int]]] = {}
        for name in names:
            blocks = _blocks(name)
            if blocks is None:
                continue
            self._whole.add(blocks)
            if blocks[1] != blocks[2]:
                self._merged.setdefault(blocks[0], []).append(blocks[1:])

    def hold(self, part: str) -> bool:
        blocks = _blocks(part)
        if blocks is None or blocks in self._whole:
            return True
        partition, first, last = blocks
        return any(low <= first and last <= high for low, high in self._merged.get(partition, ()))


def _blocks(name: str) -> Blocks | None:
    match = None if name.startswith(("tmp_", "delete_tmp_")) else _PART.match(name)
    return (match["partition"], int(match["first"]), int(match["last"])) if match else None
