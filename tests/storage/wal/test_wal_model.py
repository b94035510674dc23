"""Any order of commits, seals, inserts, crashes, repeated calls: what is acknowledged is stored exactly once.

The store of the model does what ClickHouse does with deduplication tokens: the first block of a token counts.
"""

import shutil
import tempfile
from collections import deque
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.clock import SystemClock
from storage.wal.partition_wal import PartitionWal
from storage.wal.read_back import build_tables
from storage.wal.segment import NewRecord, SealedSegment
from tests.storage.wal.batches import batch, records


class WalModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.data_dir = Path(tempfile.mkdtemp())
        self.wal = PartitionWal(self.data_dir, 1, SystemClock())
        self.sealed: deque[SealedSegment] = deque()
        self.store: dict[str, list[tuple[int, str]]] = {}
        self.acknowledged: list[str] = []
        self.calls: list[list[NewRecord]] = []

    @rule(parts=st.integers(1, 3))
    def commit(self, parts: int) -> None:
        self.append(self.new_call(parts))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def repeat_a_call_whose_answer_was_lost(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.calls))
        assert self.wal.calls.missing(call[0].call_id, len(call)) == []

    @rule()
    def seal(self) -> None:
        self.sealed.extend(self.wal.seal())

    @precondition(lambda self: self.sealed)
    @rule(answer_lost=st.booleans())
    def insert_the_oldest(self, answer_lost: bool) -> None:
        segment = self.sealed[0]
        logs = build_tables(self.wal.read(segment), unreadable=self.fail).logs
        block = list(zip(logs["seq"].to_pylist(), logs["message"].to_pylist(), strict=True))
        self.store.setdefault(self.wal.token(segment), block)
        if not answer_lost:
            self.wal.remove(segment)
            self.sealed.popleft()
            # A removed segment's calls are past their retry window.
            stored = {message for _, message in block}
            self.calls = [call for call in self.calls if name(call) not in stored]

    @rule()
    def crash(self) -> None:
        self.wal.directory.close()
        self.recover()

    @rule(parts=st.integers(1, 3), data=st.data())
    def crash_in_mid_append(self, parts: int, data: st.DataObject) -> None:
        call = self.new_call(parts)
        before = self.wal.active.size if self.wal.active else 0
        self.wal.commit(call)
        active = self.wal.active
        assert active is not None
        cut = data.draw(st.integers(before, active.size))
        self.wal.directory.close()
        path = self.wal.directory.segment_path(active.segment_id)
        with path.open("r+b") as file:
            file.truncate(cut)
        self.recover()
        self.append(call)  # its sender repeats it

    def new_call(self, parts: int) -> list[NewRecord]:
        number = len(self.acknowledged)
        call_id = number.to_bytes(16, "big")
        return records(call_id, *(batch(f"{number}-{part}") for part in range(parts)))

    def append(self, call: list[NewRecord]) -> None:
        missing = self.wal.calls.missing(call[0].call_id, len(call))
        if missing:
            self.wal.commit([call[part] for part in missing])
        self.calls.append(call)
        number = len(self.acknowledged)
        self.acknowledged += [f"{number}-{part}" for part in range(len(call))]

    def recover(self) -> None:
        self.wal = PartitionWal(self.data_dir, 1, SystemClock())
        self.sealed = deque(self.wal.recovered)

    @invariant()
    def sizes_agree(self) -> None:
        on_disk = sum(path.stat().st_size for path in self.wal.directory.path.glob("*.wal"))
        assert self.wal.size == on_disk

    def fail(self, *_: object) -> None:
        raise AssertionError("a record cannot be decoded")

    def teardown(self) -> None:
        self.crash()
        while self.sealed:
            self.insert_the_oldest(answer_lost=False)
        stored = [row for block in self.store.values() for row in block]
        assert sorted(message for _, message in stored) == sorted(self.acknowledged)
        assert len({seq for seq, _ in stored}) == len(stored)
        self.wal.close()
        shutil.rmtree(self.data_dir)


def name(call: list[NewRecord]) -> str:
    return f"{int.from_bytes(call[0].call_id, 'big')}-0"


TestWalModel = WalModel.TestCase
TestWalModel.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
