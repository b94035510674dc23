"""Settings come from a file and the environment, and a wrong one stops the start with one clear line."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from core.errors import SettingsError
from core.settings import environment_variable, load_settings


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the service looks for logray.yaml


def test_the_defaults_are_loopback_and_the_promised_ports() -> None:
    settings = load_settings({})
    assert (settings.http.host, settings.http.port, settings.tcp.port) == ("127.0.0.1", 8080, 5514)
    assert settings.clickhouse.url is None


def test_the_data_directory_is_made_absolute(tmp_path: Path) -> None:
    assert load_settings({"LOGRAY_DATA_DIR": "d"}).data_dir == tmp_path / "d"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOGRAY_HTTP_HOST", "0.0.0.0"),
        ("LOGRAY_HTTP_PORT", 18080),
        ("LOGRAY_TCP_PORT", 15514),
        ("LOGRAY_TLS_PORT", 16514),
        ("LOGRAY_UDP_PORT", 15514),
        ("LOGRAY_API_KEY", "k" * 32),
        ("LOGRAY_CLICKHOUSE_URL", "http://user:secret@host:8123/logs"),
    ],
)
def test_every_promised_variable_is_read(variable: str, value: object) -> None:
    settings = load_settings({variable: str(value)})
    section, _, name = variable.removeprefix("LOGRAY_").lower().partition("_")
    found = settings.api_key if section == "api" else getattr(getattr(settings, section), name)
    assert (found.get_secret_value() if hasattr(found, "get_secret_value") else found) == value


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "logray.yaml").write_text("http:\n  port: 1111\n  host: 127.0.0.2\n")
    settings = load_settings({"LOGRAY_HTTP_PORT": "2222"})
    assert (settings.http.port, settings.http.host) == (2222, "127.0.0.2")


@pytest.mark.parametrize(
    ("environment", "file", "message"),
    [
        ({"LOGRAY_HTTP_PROT": "1"}, "", "unknown setting LOGRAY_HTTP_PROT (did you mean LOGRAY_HTTP_PORT?)"),
        ({"LOGRAY_HTTP_PORT": "x"}, "", "setting http.port: "),
        ({"LOGRAY_HTTP_PORT": "70000"}, "", "setting http.port: "),
        ({}, "http:\n  prot: 1\n", "setting http.prot: "),
        ({}, "- 1\n", "must be a mapping"),
        ({}, "http: [\n", "cannot read logray.yaml"),
        ({"LOGRAY_HTTP_PORT": "1"}, "http: 3\n", "setting http: must be a group"),
        ({"LOGRAY_TCP_ALLOWED_NETWORKS": "10.0.0.0/8, nonsense"}, "", "setting tcp.allowed_networks.1: "),
        ({"LOGRAY_TCP_TIME_ZONE": "Mars/Olympus"}, "", "no time zone is named 'Mars/Olympus'"),
        ({"LOGRAY_SEARCH_COLUMNS": "status,a`b"}, "", "'a`b' cannot have a column"),
        ({"LOGRAY_SEARCH_COLUMNS": ",".join("abcdefghijklmnopq")}, "", "at most 16 fields"),
        ({"LOGRAY_TLS_KEY_FILE": "k.pem"}, "", "key_file and client_ca_file need a certificate_file"),
        (
            {"LOGRAY_HTTP_REPLICAS_MIN": "9", "LOGRAY_HTTP_REPLICAS_MAX": "2"},
            "",
            "replicas_max is below replicas_min",
        ),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    tmp_path: Path, environment: dict[str, str], file: str, message: str
) -> None:
    if file:
        (tmp_path / "logray.yaml").write_text(file)
    with pytest.raises(SettingsError) as caught:
        load_settings(environment)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_is_one_text_in_the_environment_or_a_list_in_the_file(tmp_path: Path) -> None:
    expected = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    in_environment = load_settings({"LOGRAY_TCP_ALLOWED_NETWORKS": "10.0.0.0/8, ::1"})
    assert in_environment.tcp.allowed_networks == expected
    (tmp_path / "logray.yaml").write_text("tcp:\n  allowed_networks: [10.0.0.0/8, '::1']\n")
    assert load_settings({}).tcp.allowed_networks == expected


def test_fields_get_columns_by_name() -> None:
    assert load_settings({}).search.columns == ()
    assert load_settings({"LOGRAY_SEARCH_COLUMNS": "status, user.id"}).search.columns == ("status", "user.id")


def test_tls_is_on_when_there_is_a_certificate(tmp_path: Path) -> None:
    assert not load_settings({}).tls.enabled
    settings = load_settings({"LOGRAY_TLS_CERTIFICATE_FILE": "server.pem"})
    assert settings.tls.enabled
    assert settings.tls.port == 6514
    assert settings.tls.certificate_file == tmp_path / "server.pem"
    assert not load_settings(
        {"LOGRAY_TLS_CERTIFICATE_FILE": "server.pem", "LOGRAY_TLS_PORT": "0"}
    ).tls.enabled


def test_a_secret_does_not_show_in_print_or_error() -> None:
    settings = load_settings({"LOGRAY_API_KEY": "very-secret", "LOGRAY_CLICKHOUSE_URL": "http://u:hidden@h/"})
    assert "very-secret" not in repr(settings)
    assert "hidden" not in repr(settings)


def test_variables_of_other_programs_are_left_alone() -> None:
    load_settings({"HOME": "/", "LOGRAYX": "1", "LOGRAY_INSTANCE": "abc"})


def test_a_variable_is_the_path_in_capitals() -> None:
    assert environment_variable("wal.flush_interval_s") == "LOGRAY_WAL_FLUSH_INTERVAL_S"


def test_there_are_never_fewer_replicas_by_default_than_were_asked_for() -> None:
    assert load_settings({}).http.replicas_max >= 1
    assert load_settings({"LOGRAY_HTTP_REPLICAS_MIN": "90"}).http.replicas_max == 90
