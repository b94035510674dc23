"""What is kept about an instance, and the lock that keeps two commands apart."""

import os
from pathlib import Path

import pytest

from cli.instance import Instance, InstanceFiles, LaunchError
from cli.ports import CANDIDATES, free_block, free_ports, is_free, require_free

RECORD = Instance("id", 1.5, "127.0.0.1:8080", None, "127.0.0.1:6379", None, None, existing_cluster=False)


def test_the_id_is_that_of_the_directory_whatever_its_spelling(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "d")
    assert InstanceFiles(tmp_path / "d").id == InstanceFiles(tmp_path / "link").id
    assert InstanceFiles(tmp_path / "d").id != InstanceFiles(tmp_path).id


def test_the_record_comes_back_and_is_private(tmp_path: Path) -> None:
    files = InstanceFiles(tmp_path)
    files.prepare()
    assert files.read() is None
    files.write(RECORD)
    assert files.read() == RECORD
    assert files.record.stat().st_mode & 0o777 == 0o600
    assert files.run_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": 1}'], ids=["empty", "cut", "a list", "incomplete"])
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    files = InstanceFiles(tmp_path)
    files.prepare()
    files.record.write_text(text)
    assert files.read() is None


def test_a_second_command_on_the_directory_is_refused(tmp_path: Path) -> None:
    with (
        InstanceFiles(tmp_path).locked(),
        pytest.raises(LaunchError, match="another"),
        InstanceFiles(tmp_path).locked(),
    ):
        pass
    with InstanceFiles(tmp_path).locked():
        pass


def test_a_data_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LaunchError, match="cannot use the data directory"):
        InstanceFiles(tmp_path / "file" / "data").prepare()


def test_the_temporary_directory_is_short_enough_for_sockets(tmp_path: Path) -> None:
    assert len(os.fsencode(InstanceFiles(tmp_path / ("x" * 200)).temporary_dir)) < 40


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(is_free("127.0.0.1", port) for port in ports)
    first = free_block(10)
    assert all(is_free("127.0.0.1", port) for port in range(first, first + 10))


def test_a_port_that_is_promised_is_not_chosen_again() -> None:
    promised = range(CANDIDATES.start, CANDIDATES.stop - 300)
    assert all(port not in promised for port in free_ports(20, promised))
    assert free_block(10, promised) not in promised


def test_a_taken_port_names_the_setting() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LaunchError, match=r"setting http\.port"):
            require_free("127.0.0.1", port, "http.port")
