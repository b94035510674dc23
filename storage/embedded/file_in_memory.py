"""A file without a name or a disk, from which ClickHouse reads the data of an insert."""

import os
from types import TracebackType
from typing import Self


class FileInMemory:
    """Written once, then read by path; its memory is freed when it is closed."""

    def __init__(self, content: bytes = b"") -> None:
        self._file = open(os.memfd_create("insert"), "wb", buffering=0)  # noqa: SIM115 - closed by close()
        self.size = 0
        self.write(content)

    @property
    def path(self) -> str:
        """The path by which any thread of this process can open it."""
        return f"/proc/self/fd/{self._file.fileno()}"

    def write(self, data: bytes) -> None:
        """Append."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self.size += len(data)

    def close(self) -> None:
        """Free the memory."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
