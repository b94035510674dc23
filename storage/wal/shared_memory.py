"""Payloads in shared memory: how a call's bytes get from a client to a partition writer on the same node.

Ray puts the arguments of a call of more than 100 KB into its object store, which costs its raylet and both
ends 1.5 ms each, whatever the size. Here the payloads go into an anonymous file in memory, and the call only
names it; the writer maps it. Nothing is left behind when either of them dies.
"""

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_NAME: Final = "logray-{}"  # of 249 bytes at most: memfd_create(2)


@dataclass(frozen=True, slots=True)
class SharedPayloads:
    """Where the payloads of one call lie: one after the other in a file that a process has open."""

    pid: int
    fd: int
    lengths: tuple[int, ...]  # bytes


@contextmanager
def share(call_id: bytes, payloads: Sequence[bytes]) -> Iterator[SharedPayloads]:
    """Copy the payloads into memory that a process of the same user and node can map, until the end.

    Raises OSError when there is none.
    """
    fd = os.memfd_create(_NAME.format(call_id.hex()), os.MFD_CLOEXEC)
    with open(fd, "wb") as file:
        file.writelines(payloads)
        file.flush()
        yield SharedPayloads(os.getpid(), fd, tuple(map(len, payloads)))


def map_shared(call_id: bytes, shared: SharedPayloads) -> list[memoryview] | None:
    """The payloads; None when this process cannot reach them (another node, a client that is gone).

    They stay readable after the client has let go of them.
    """
    try:
        fd = os.open(f"/proc/{shared.pid}/fd/{shared.fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # The same numbers may mean something else on this node, or by now.
        name = os.readlink(f"/proc/self/fd/{fd}")
        if name != f"/memfd:{_NAME.format(call_id.hex())} (deleted)":
            return None
        content = memoryview(mmap.mmap(fd, sum(shared.lengths), mmap.MAP_SHARED, mmap.PROT_READ))
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)
    payloads, offset = [], 0
    for length in shared.lengths:
        payloads.append(content[offset : offset + length])
        offset += length
    return payloads
