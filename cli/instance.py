"""What is known about an instance: its files in the data directory, its identity, its record.

An instance is a data directory. Its id is made from the directory's path, so that whatever is left of
it after a crash can be found without any file.
"""

import fcntl
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from core.errors import LograyError


class LaunchError(LograyError):
    """The instance cannot be started or stopped; the message is what the operator sees."""


@dataclass(frozen=True, slots=True)
class Instance:
    """The record of a started instance; addresses are `host:port`, times seconds since 1970."""

    id: str
    started_at_s: float
    http: str
    tcp: str | None
    ray_address: str
    dashboard: str | None
    session_dir: str | None
    existing_cluster: bool  # deployed into a Ray cluster that somebody else started and will stop


@dataclass(frozen=True, slots=True)
class InstanceFiles:
    """Where an instance keeps what is not data."""

    data_dir: Path

    @property
    def id(self) -> str:
        """Ten hex digits of the data directory's path."""
        return hashlib.sha256(os.fsencode(self.data_dir.resolve())).hexdigest()[:10]

    @property
    def run_dir(self) -> Path:
        """Lock and record; private."""
        return self.data_dir / "run"

    @property
    def record(self) -> Path:
        """The Instance as JSON, there while it runs or after it crashed."""
        return self.run_dir / "instance.json"

    @property
    def logs_dir(self) -> Path:
        """The logs of the last runs, and `current`."""
        return self.data_dir / "logs"

    @property
    def current_logs(self) -> Path:
        """A link to the logs of the running processes."""
        return self.logs_dir / "current"

    @property
    def launch_log(self) -> Path:
        """What the start itself had to say."""
        return self.logs_dir / "launch.log"

    @property
    def temporary_dir(self) -> Path:
        """Ray's files: a short path, because a Unix socket's path has at most 107 characters."""
        parent = Path(tempfile.gettempdir())
        return (parent if len(str(parent)) <= 12 else Path("/tmp")) / f"logray-{self.id}"  # noqa: S108

    def prepare(self) -> None:
        """Make the directories. Raises LaunchError."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self.run_dir.mkdir(mode=0o700, exist_ok=True)
            self.run_dir.chmod(0o700)
            self.logs_dir.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise LaunchError(f"cannot use the data directory {self.data_dir}: {error.strerror}") from None

    def make_temporary_dir(self) -> Path:
        """Make the directory for Ray's files. Raises LaunchError if it belongs to somebody else."""
        path = self.temporary_dir
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise LaunchError(f"cannot use {path}: it belongs to another user")
        return path

    def read(self) -> Instance | None:
        """The record; None when there is none or it cannot be read."""
        try:
            return Instance(**json.loads(self.record.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, instance: Instance) -> None:
        """Keep the record, readable by its owner alone."""
        write_private(self.record, json.dumps(asdict(instance), indent=2) + "\n")

    @contextmanager
    def locked(self) -> Iterator[Self]:
        """Hold the data directory against another `up` or `down`. Raises LaunchError."""
        self.prepare()
        descriptor = os.open(self.run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LaunchError(
                    f"cannot lock {self.data_dir}: another `logray up` or `down` is at work"
                ) from None
            yield self
        finally:
            os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, mode 0600."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
