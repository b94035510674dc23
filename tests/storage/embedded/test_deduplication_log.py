"""Ids of inserts whose part never came into place are revoked; all others stay."""

from pathlib import Path

import pytest

from storage.embedded.deduplication_log import mend_deduplication_logs


def table(store: Path, name: str, parts: list[str], *logs: str) -> Path:
    folder = store / "store" / name[:3] / name
    (folder / "deduplication_logs").mkdir(parents=True)
    for part in parts:
        (folder / part).mkdir()
    for number, text in enumerate(logs, start=1):
        (folder / "deduplication_logs" / f"deduplication_log_{number}.txt").write_text(text)
    return folder / "deduplication_logs"


def add(part: str, block: str) -> str:
    return f"1\t{part}\t{block}\n"


def drop(part: str, block: str) -> str:
    return f"2\t{part}\t{block}\n"


@pytest.mark.parametrize(
    ("parts", "log", "revoked"),
    [
        pytest.param(["20240115_1_1_0"], add("20240115_1_1_0", "a"), [], id="in place"),
        pytest.param([], add("20240115_1_1_0", "a"), ["a"], id="never renamed"),
        pytest.param(["tmp_insert_20240115_1_1_0"], add("20240115_1_1_0", "a"), ["a"], id="still temporary"),
        pytest.param(["20240115_1_5_2"], add("20240115_3_3_0", "a"), [], id="merged"),
        pytest.param(["20240115_1_5_2_9"], add("20240115_3_3_0", "a"), [], id="merged, then mutated"),
        pytest.param(["20240115_3_3_0_9"], add("20240115_3_3_0", "a"), [], id="mutated"),
        pytest.param(["20240116_1_5_2"], add("20240115_3_3_0", "a"), ["a"], id="merged in another partition"),
        pytest.param(["20240115_1_2_1"], add("20240115_3_3_0", "a"), ["a"], id="not among the merged"),
        pytest.param([], add("all_1_1_0", "a") + drop("all_1_1_0", "a"), [], id="dropped"),
        pytest.param(
            ["all_2_2_0"],
            add("all_1_1_0", "a") + drop("all_1_1_0", "a") + add("all_2_2_0", "a"),
            [],
            id="added again",
        ),
        pytest.param(["all_1_1_0"], add("all_1_1_0", "all_token\twith tab"), [], id="a tab in the id"),
    ],
)
def test_orphans_are_revoked(tmp_path: Path, parts: list[str], log: str, revoked: list[str]) -> None:
    logs = table(tmp_path, "abcdef", parts, log)
    assert mend_deduplication_logs(tmp_path) == len(revoked)
    lines = (logs / "deduplication_log_1.txt").read_text().removeprefix(log).splitlines()
    assert [line.split("\t", 2)[::2] for line in lines] == [["2", block] for block in revoked]
    assert mend_deduplication_logs(tmp_path) == 0


def test_all_files_count_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    texts = [add(f"all_{n}_{n}_0", str(n)) for n in range(1, 12)]
    logs = table(tmp_path, "abcdef", ["all_1_10_1"], *texts[:9], texts[9] + texts[10])
    assert mend_deduplication_logs(tmp_path) == 1
    assert (logs / "deduplication_log_10.txt").read_text().endswith(drop("all_11_11_0", "11"))


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    whole = add("all_1_1_0", "a")
    logs = table(tmp_path, "abcdef", ["all_1_1_0"], whole + "1\tall_2")
    assert mend_deduplication_logs(tmp_path) == 0
    assert (logs / "deduplication_log_1.txt").read_text() == whole


@pytest.mark.parametrize("line", ["", "1\tall_2_2_0\n", "garbage\n", "\0\0\0\0\n"])
def test_a_line_that_cannot_be_read_is_no_reason_not_to_start(tmp_path: Path, line: str) -> None:
    logs = table(tmp_path, "abcdef", [], add("all_1_1_0", "a") + line)
    assert mend_deduplication_logs(tmp_path) == 1
    assert drop("all_1_1_0", "a") in (logs / "deduplication_log_1.txt").read_text()


def test_a_store_without_tables_needs_no_mending(tmp_path: Path) -> None:
    assert mend_deduplication_logs(tmp_path / "none") == 0
