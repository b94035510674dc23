"""The settings: one frozen tree, read from `logray.yaml` and the environment.

The environment wins over the file. The variable of a setting is `LOGRAY_` and its path in capitals:
`http.port` is `LOGRAY_HTTP_PORT`. Unknown keys and variables are errors, units stand in the names.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    model_validator,
)

from core.errors import SettingsError
from core.own_columns import OWN_COLUMN_NAME, OWN_COLUMNS_MAX

ENVIRONMENT_PREFIX = "LOGRAY_"
# Variables that the launcher gives to its own processes; they are not settings.
INTERNAL_VARIABLES = frozenset({"LOGRAY_INSTANCE", "LOGRAY_SETTINGS", "LOGRAY_HAPROXY_BIND"})

# Where Ray Serve has HAProxy listen to its administrators, below a directory of the node's; its default.
HAPROXY_SOCKET_VARIABLE = "RAY_SERVE_HAPROXY_SOCKET_PATH"
HAPROXY_SOCKET = "/tmp/haproxy-serve/admin.sock"  # noqa: S108 - Serve's choice

Port = Annotated[int, Field(ge=1, le=65535)]
PortOrOff = Annotated[int, Field(ge=0, le=65535)]  # 0: off
MIB = 1 << 20


def _listed(value: Any) -> Any:
    """A list may be one text with commas: an environment variable holds nothing else."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is named {name!r}") from None
    return name


def _replicas_max(values: dict[str, Any]) -> int:
    return max((os.cpu_count() or 1) // 2, int(values.get("replicas_min", 1)), 1)


def _own_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > OWN_COLUMNS_MAX:
        raise ValueError(f"at most {OWN_COLUMNS_MAX} fields can have columns of their own")
    for name in names:
        if not OWN_COLUMN_NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r} cannot have a column: letters, digits and _ @ . - up to 100")
    return names


Networks = Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_listed)]
OwnColumns = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_own_columns)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]


class Section(BaseModel):
    """A frozen group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpSettings(Section):
    """The HTTP API and its ingest replicas."""

    host: str = "127.0.0.1"
    port: Port = 8080
    # On each node. By default one for two cores of the head: the rest has to store what a replica takes in.
    replicas_min: Annotated[int, Field(ge=1, le=100)] = 1
    replicas_max: Annotated[int, Field(ge=1, le=100)] = Field(default_factory=_replicas_max)
    requests_per_replica_max: Annotated[int, Field(ge=1)] = 256

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.replicas_max < self.replicas_min:
            raise ValueError("replicas_max is below replicas_min")
        return self


class TcpSettings(Section):
    """The syslog and JSON-lines listeners; what is not an address holds for TLS and UDP, too."""

    host: str = "127.0.0.1"
    port: PortOrOff = 5514
    workers: Annotated[int, Field(ge=1, le=64)] = 1  # processes per node that share the ports
    allowed_networks: Networks = ()  # whose messages are taken; none: everybody's
    connections_max: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000  # of one worker; beyond: closed
    line_bytes_max: Annotated[int, Field(ge=480, le=MIB)] = MIB  # beyond: cut off, counted and kept
    unfinished_bytes_max: Annotated[int, Field(ge=MIB)] = 64 * MIB  # half lines of one worker; beyond: cut
    unsent_bytes_max: Annotated[int, Field(ge=MIB)] = 32 * MIB  # of one worker; full: it stops reading
    idle_timeout_s: Annotated[float, Field(ge=0)] = 0  # 0: never; most senders lose a line to it
    keepalive_idle_s: Annotated[int, Field(ge=1, le=32_767)] = 60
    keepalive_interval_s: Annotated[int, Field(ge=1, le=32_767)] = 10
    keepalive_probes: Annotated[int, Field(ge=1, le=127)] = 6
    time_zone: TimeZone = "UTC"  # of syslog times that name none
    plain_lines: bool = False  # store a line that is neither syslog nor JSON as a log, not as a dead letter


class TlsSettings(Section):
    """Syslog over TLS (RFC 5425); without a certificate it is off."""

    host: str = "127.0.0.1"
    port: PortOrOff = 6514
    certificate_file: AbsolutePath | None = None  # PEM, with the chain
    key_file: AbsolutePath | None = None  # without: it is in certificate_file
    client_ca_file: AbsolutePath | None = None  # with one, clients must show a certificate of it

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.certificate_file is None and (self.key_file or self.client_ca_file):
            raise ValueError("key_file and client_ca_file need a certificate_file")
        return self

    @property
    def enabled(self) -> bool:
        """Whether there is something to listen with."""
        return self.port > 0 and self.certificate_file is not None


class UdpSettings(Section):
    """Syslog over UDP (RFC 5426), off by default: what comes faster than it can be read is lost."""

    host: str = "127.0.0.1"
    port: PortOrOff = 0


class ClickHouseSettings(Section):
    """The store; without a URL the embedded ClickHouse is started in the data directory."""

    url: SecretStr | None = None
    cluster: str | None = None  # the name in the store's remote_servers: replicated and distributed tables
    threads_max: Annotated[int, Field(ge=1)] = 2  # of one query in the embedded ClickHouse
    memory_bytes_max: Annotated[int, Field(ge=512 * MIB)] = 4096 * MIB  # of the embedded ClickHouse


class WalSettings(Section):
    """The partition writers and their write-ahead logs."""

    partitions: Annotated[int, Field(ge=1, le=1023)] = 1  # per node
    bytes_max: Annotated[int, Field(ge=16 * MIB)] = 8192 * MIB  # per partition; full: 429
    free_disk_bytes_min: Annotated[int, Field(ge=0)] = 1024 * MIB  # refuse below: 429
    flush_rows: Annotated[int, Field(ge=1)] = 200_000
    flush_bytes: Annotated[int, Field(ge=MIB)] = 64 * MIB
    flush_interval_s: Annotated[float, Field(gt=0, le=60)] = 1.0


class SearchSettings(Section):
    """The query planner."""

    concurrency_max: Annotated[int, Field(ge=1, le=256)] = 8  # searches at once
    queue_max: Annotated[int, Field(ge=0)] = 64  # searches that wait; beyond: 429
    queue_wait_s: Annotated[float, Field(gt=0)] = 5.0  # longer: 429
    timeout_s: Annotated[float, Field(gt=0)] = 30.0  # of a search that names none
    timeout_max_s: Annotated[float, Field(gt=0)] = 300.0  # what a search may ask for
    count_budget_s: Annotated[float, Field(gt=0)] = 0.3  # of an exact total that needs a scan
    columns: OwnColumns = ()  # fields with few values that are often counted, compared or put in buckets
    columns_chosen_max: Annotated[int, Field(ge=0, le=OWN_COLUMNS_MAX)] = 3  # further ones, by what is asked


class AlertSettings(Section):
    """Alert rules and the receivers of their notices."""

    public_url: str = "http://localhost:8080"  # how readers of a notice reach the API
    rules_max: Annotated[int, Field(ge=1, le=10_000)] = 500  # each is a process
    history_days: Annotated[int, Field(ge=1, le=3650)] = 90
    watch_interval_s: Annotated[float, Field(gt=0, le=60)] = (
        10.0  # rules' processes are asked whether they live
    )
    evaluation_timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    allow_private_webhooks: bool = False  # to private, loopback and link-local addresses
    give_up_after_s: Annotated[float, Field(gt=0)] = 24 * 3600.0  # a notice that cannot be delivered
    attempt_timeout_s: Annotated[float, Field(gt=0, le=120)] = 10.0
    slack_token: SecretStr | None = None
    slack_webhook_url: SecretStr | None = None
    slack_base_url: str = "https://slack.com/api"
    pagerduty_base_url: str = "https://events.pagerduty.com"
    smtp_host: str | None = None
    smtp_port: Port = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca_file: Path | None = None  # besides the system's authorities
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_from: str = "logray@localhost"


class Settings(Section):
    """The whole tree."""

    data_dir: Path = Path("data")
    api_key: SecretStr | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    http: HttpSettings = HttpSettings()
    tcp: TcpSettings = TcpSettings()
    tls: TlsSettings = TlsSettings()
    udp: UdpSettings = UdpSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    wal: WalSettings = WalSettings()
    search: SearchSettings = SearchSettings()
    alerts: AlertSettings = AlertSettings()


def load_settings(environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Read the file (`logray.yaml` here, if it exists) and the environment.

    Raises SettingsError, one line that names the setting.
    """
    tree = _read_file(file)
    variables = dict(_variables(Settings, ()))
    for name in sorted(environment):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in INTERNAL_VARIABLES:
            continue
        if name not in variables:
            raise SettingsError(f"unknown setting {name}{_suggestion(name, variables)}")
        _set(tree, variables[name], environment[name])
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise SettingsError(f"setting {path}: {first['msg']}{_suggestion(path, _paths())}") from None
    return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})


def environment_variable(path: str) -> str:
    """The variable of a setting: `http.port` → `LOGRAY_HTTP_PORT`."""
    return ENVIRONMENT_PREFIX + path.replace(".", "_").upper()


def _variables(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _variables(inner, (*path, name))
        else:
            yield environment_variable(".".join((*path, name))), (*path, name)


def _paths() -> list[str]:
    return [".".join(path) for _, path in _variables(Settings, ())]


def _suggestion(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close and close[0] != name else ""


def _set(tree: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    for part in path[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"setting {part}: must be a group of settings")
        tree = inner
    tree[path[-1]] = value


def _read_file(file: Path | None) -> dict[str, Any]:
    path = file or Path("logray.yaml")
    if file is None and not path.exists():
        return {}
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingsError(f"cannot read {path}: {reason}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"cannot read {path}: it must be a mapping of settings")
    return content


def process_settings(file: Path | None = None) -> Settings:
    """The settings of this process's environment and directory, for the command line."""
    return load_settings(os.environ, file)


def haproxy_admin_socket(node_id: str) -> Path:
    """The admin socket of the HAProxy on a node of Ray's; nothing is there when the node has none."""
    socket = Path(os.environ.get(HAPROXY_SOCKET_VARIABLE) or HAPROXY_SOCKET)
    return socket.parent / node_id / socket.name
