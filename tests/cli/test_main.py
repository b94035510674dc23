"""The command line as a person meets it: help, exit codes, and one clear line for a wrong setting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import ENVIRONMENT_PREFIX

ROOT = Path(__file__).parents[2]


def logray(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "LOGRAY_DATA_DIR": str(folder / "data"), **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_every_command_and_the_settings_that_matter(tmp_path: Path) -> None:
    answer = logray(tmp_path, "--help")
    assert answer.returncode == 0
    for word in ("up", "down", "status", "LOGRAY_HTTP_PORT", "LOGRAY_CLICKHOUSE_URL", "exit codes"):
        assert word in answer.stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"LOGRAY_HTTP_PROT": "1"}, "did you mean LOGRAY_HTTP_PORT?", id="an unknown variable"),
        pytest.param({"LOGRAY_HTTP_PORT": "80a"}, "http.port", id="no number"),
        pytest.param({"LOGRAY_HTTP_PORT": "70000"}, "http.port", id="no port"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_line(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    answer = logray(tmp_path, "up", **settings)
    assert answer.returncode == 2
    assert answer.stdout == ""
    (line,) = answer.stderr.splitlines()
    assert said in line
    assert line.startswith("logray: ")


def test_an_unknown_key_in_the_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "logray.yaml").write_text("http:\n  prot: 1\n")
    answer = logray(tmp_path, "up")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "http.prot" in answer.stderr


def test_status_of_nothing_says_stopped(tmp_path: Path) -> None:
    answer = logray(tmp_path, "status")
    assert (answer.returncode, answer.stdout.splitlines()[0]) == (3, f"Logray is stopped ({tmp_path}/data)")
    assert '"state": "stopped"' in logray(tmp_path, "status", "--json").stdout


def test_down_of_nothing_is_no_error(tmp_path: Path) -> None:
    answer = logray(tmp_path, "down")
    assert answer.returncode == 0
    assert "not running" in answer.stdout


def test_a_taken_port_stops_the_start_and_leaves_nothing(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = logray(tmp_path, "up", LOGRAY_HTTP_PORT=str(server.getsockname()[1]))
    assert answer.returncode == 1
    assert "setting http.port" in answer.stderr
    assert "Traceback" not in answer.stderr
