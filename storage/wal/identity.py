"""What a WAL must not forget when it is empty: its own name, and how far its numbers have been given out.

Numbers of logs and names of segments come from one counter that begins at the clock. Were the clock set back
between two starts, an empty WAL would give the same numbers again, and ClickHouse would drop an insert whose
token it has seen. So numbers are reserved on disk, a range at a time, before they are used.
"""

import logging
import os
import re
import secrets
from typing import Final

from isal import isal_zlib

from storage.wal.directory import IDENTITY, WalDirectory, fsync_directory

RESERVED_SEQS: Final = 1 << 24  # one write of the file for so many logs

_CONTENT: Final = re.compile(
    rb"(?P<fact>(?P<name>[0-9a-f]{16}) (?P<until>[0-9]{1,20})) (?P<crc>[0-9a-f]{8})\n"
)

log = logging.getLogger(__name__)


class Identity:
    """The file `identity`: `name`, 16 hexadecimal digits, and the first number that was never reserved.

    Raises OSError when it cannot be read.
    """

    def __init__(self, directory: WalDirectory) -> None:
        self._directory = directory
        self._path = directory.path / IDENTITY
        content = self._path.read_bytes() if self._path.exists() else b""
        match = _CONTENT.fullmatch(content)
        if match is not None and int(match["crc"], 16) == isal_zlib.crc32(match["fact"]):
            self.name, self.reserved_until = match["name"].decode(), int(match["until"])
            return
        if content:
            log.error("%s is damaged: an insert that was under way may be stored twice", self._path)
        self.name, self.reserved_until = secrets.token_hex(8), 0

    def reserve(self, needed_until: int) -> None:
        """Make sure that all numbers below are reserved; raises OSError when that cannot be written."""
        if needed_until <= self.reserved_until:
            return
        until = needed_until + RESERVED_SEQS
        fact = f"{self.name} {until}".encode()
        fresh = self._path.with_suffix(".new")
        with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(b"%s %08x\n" % (fact, isal_zlib.crc32(fact)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        fsync_directory(self._directory.path)
        self.reserved_until = until
