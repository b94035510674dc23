"""Cut a connection's bytes into messages: by LF, CRLF or NUL, or by octet count (RFC 6587), each as it comes.

A message is octet counted when it begins with a count, one space and a syslog PRI: `57 <14>1 …`. Everything
else ends at the next LF or NUL. Plain lines that begin with a number (`404 not found`, `5 <html>`) are
therefore lines. Once NUL has ended a syslog message, LF may stand inside the next one: so do the tracebacks
of Python's SysLogHandler come.
"""

import re
from typing import Final

# A larger count is no message but a lie (or an attack); a smaller one that is over the limit is cut.
OCTET_COUNT_MAX: Final = 16 << 20
# The longest beginning that may yet turn out to be a count: 20 digits, a space, `<191>`.
_HEADER: Final = re.compile(rb"([1-9][0-9]{0,19}) (?=<[0-9]{1,3}>)")
_HEADER_BEGUN: Final = re.compile(rb"[1-9][0-9]{0,19}(?: (?:<[0-9]{0,3})?)?")
_LINE_THEN_HEADER: Final = re.compile(rb"[\n\0]\r*+[1-9][0-9]{0,19} <[0-9]{1,3}>")
# Where a message of a sender that ends its messages with NUL ends: a newline may stand inside.
_NUL_END: Final = re.compile(rb"\0|\n(?=<[0-9]{1,3}>)")
_NUL_END_BEGUN_BYTES: Final = 5  # of the longest `\n<191` that may yet turn out to be one
_PRI_START: Final = ord("<")
_BLANK: Final = re.compile(rb"[\r\n\0]*")
# What may follow a counted message that is not counted itself: syslog or JSON, ended by a newline.
_UNCOUNTED_STARTS: Final = b"<{["


class Splitter:
    """The framing state of one connection; it holds at most one unfinished message of `message_bytes_max`.

    A longer message is returned cut, counted in `cut_messages`, and its rest skipped. After a wrong octet
    count `lie` holds the reason and `refused` the bytes from there on: no more can be told apart, so the
    connection must be closed.
    """

    def __init__(self, message_bytes_max: int) -> None:
        self._limit = message_bytes_max
        self._pending = bytearray()
        self._in_line = False  # pending is the beginning of a line: only a terminator matters
        self._until_nul = False  # pending, or what is skipped, is of a message that NUL ends
        self._nul_ended = False  # the last syslog message was ended by NUL: so will be the next
        self._wanted = 0  # pending is the beginning of a counted message of so many bytes
        self._after_counted = False
        self._skip_bytes = 0  # of a counted message that was cut
        self._skip_line = False  # up to the next terminator
        self._skipped_end = b""  # may be the beginning of a terminator
        self.cut_messages = 0
        self.lie = ""
        self.refused = b""

    @property
    def pending_bytes(self) -> int:
        """Bytes held of an unfinished message."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read; return the messages complete by now, without their terminators or counts."""
        if self.lie:
            return []
        if self._skip_bytes or self._skip_line:
            data = self._skipped(data)
        pending = self._pending
        if pending:
            goes_on = self._until_nul and _NUL_END.search(pending[-_NUL_END_BEGUN_BYTES:] + data) is None
            pending += data
            if goes_on:
                return self._over_limit()
            if self._wanted:
                if len(pending) < self._wanted:
                    return self._over_limit()
            elif self._in_line and b"\n" not in data and b"\0" not in data:
                return self._over_limit()
            data = bytes(pending)
            pending.clear()
        if not data:
            return []
        messages: list[bytes] = []
        end = self._split(data, messages)
        if self.lie:
            return messages
        pending += data[end:] if end else data
        if pending:
            messages += self._over_limit()
        return messages

    def finish(self) -> list[bytes]:
        """The connection ended: return the unfinished message, if there is one."""
        if self._wanted:
            return self.cut_pending()
        until_nul, rest = self._until_nul, self._take_pending()
        return self._whole(rest) if until_nul and rest else self._lines(rest)

    def cut_pending(self) -> list[bytes]:
        """Give up the memory of an unfinished message: return what is there, skip its rest when it comes."""
        if not self._pending:
            return []
        if self._wanted:
            self._skip_bytes = self._wanted - len(self._pending)
            self._wanted = 0
        else:
            self._skip_line = True
            self._skipped_end = bytes(self._pending[-_NUL_END_BEGUN_BYTES:])
        self.cut_messages += 1
        until_nul, cut = self._until_nul, self._take_pending()[: self._limit]
        self._until_nul = until_nul
        return [cut]

    def _take_pending(self) -> bytes:
        taken = bytes(self._pending)
        self._pending.clear()
        self._in_line = self._until_nul = False
        return taken

    def _over_limit(self) -> list[bytes]:
        over = len(self._pending) - self._limit
        # A line's CR belongs to the terminator that may follow.
        if over > 1 or (over == 1 and (self._wanted or self._pending[-1] != 0x0D)):
            return self.cut_pending()
        return []

    def _skipped(self, data: bytes) -> bytes:
        if self._skip_bytes:
            count = min(self._skip_bytes, len(data))
            self._skip_bytes -= count
            return data[count:]
        if self._until_nul:
            return self._skipped_until_nul(data)
        ends = [at for at in (data.find(b"\n"), data.find(b"\0")) if at >= 0]
        self._skip_line = not ends
        return data[min(ends) + 1 :] if ends else b""

    def _skipped_until_nul(self, data: bytes) -> bytes:
        window = self._skipped_end + data
        end = _NUL_END.search(window)
        if end is None:
            self._skipped_end = window[-_NUL_END_BEGUN_BYTES:]
            return b""
        self._skip_line = self._until_nul = False
        self._nul_ended = end[0] == b"\0"
        return window[end.end() :]

    def _split(self, data: bytes, messages: list[bytes]) -> int:
        """Append the complete messages; return where the unfinished one begins."""
        at, size = 0, len(data)
        self._in_line = self._until_nul = False
        if self._wanted:
            at = self._counted(data, 0, messages)
        # No search for counts line by line where there can be none.
        counts_possible = b" <" in data
        nul = data.find(b"\0")
        while at < size:
            blank = _BLANK.match(data, at)
            assert blank is not None
            if blank.end() > at:
                self._after_counted = self._after_counted and data[at : blank.end()] == b"\r"
                at = blank.end()
                continue
            header = _HEADER.match(data, at) if counts_possible else None
            if header is not None:
                count = int(header[1])
                if count > OCTET_COUNT_MAX:
                    return self._refuse(f"octet count {count} is over {OCTET_COUNT_MAX}", data, at)
                self._wanted = count
                at = header.end()
                if size - at < count:
                    return at
                at = self._counted(data, at, messages)
                continue
            begun = _HEADER_BEGUN.match(data, at, at + 26)
            if begun is not None and begun.end() == size:
                return at
            if self._after_counted and data[at] not in _UNCOUNTED_STARTS:
                return self._refuse("no octet count where the one before says it must be", data, at)
            if self._nul_ended and data[at] == _PRI_START:
                end = _NUL_END.search(data, at)
                if end is None:
                    self._until_nul = True
                    return at
                messages += self._whole(data[at : end.start()])
                self._nul_ended, self._after_counted = end[0] == b"\0", False
                at = end.end()
                continue
            if 0 <= nul < at:
                nul = data.find(b"\0", at)
            stop = self._line_run(data, at, nul, counts_possible)
            if stop == at:
                self._in_line = _HEADER_BEGUN.fullmatch(data, at) is None
                return at
            lines = self._lines(data[at:stop])
            messages += lines
            if data[stop - 1] == 0 and lines[-1][0] == _PRI_START:
                self._nul_ended = not data[at : stop - 1].rstrip(b"\r").endswith(b"\n")
            self._after_counted = False
            at = stop
        return at

    def _line_run(self, data: bytes, at: int, nul: int, counts_possible: bool) -> int:
        """Where the lines from `at` end: at a NUL, the next counted message or the unfinished line."""
        bound = nul if nul >= 0 else len(data)
        if self._nul_ended:
            line_feed = data.find(b"\n", at, bound)
            return line_feed + 1 if line_feed >= 0 else nul + 1 or at
        header = _LINE_THEN_HEADER.search(data, at, bound) if counts_possible else None
        if header is not None:
            return header.start() + 1
        return nul + 1 or max(data.rfind(b"\n", at), at - 1) + 1

    def _counted(self, data: bytes, at: int, messages: list[bytes]) -> int:
        end = at + self._wanted
        message = data[at:end]
        if len(message) > self._limit:
            message = message[: self._limit]
            self.cut_messages += 1
        messages.append(message.rstrip(b"\r\n\0"))  # some senders count the terminator
        self._wanted, self._after_counted = 0, True
        return end

    def _lines(self, block: bytes) -> list[bytes]:
        if b"\0" in block:
            block = block.replace(b"\0", b"\n")
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").removesuffix(b"\r")
            # A CR before a line is a blank, as it is where a read begins.
            lines = [line for line in (line.lstrip(b"\r") for line in block.split(b"\n")) if line]
        else:
            lines = [line for line in block.split(b"\n") if line]
        if len(block) > self._limit and lines and max(map(len, lines)) > self._limit:
            self.cut_messages += sum(len(line) > self._limit for line in lines)
            lines = [line[: self._limit] for line in lines]
        return lines

    def _whole(self, message: bytes) -> list[bytes]:
        """One message with all its newlines."""
        message = message.removesuffix(b"\r")
        if len(message) > self._limit:
            message = message[: self._limit]
            self.cut_messages += 1
        return [message]

    def _refuse(self, reason: str, data: bytes, at: int) -> int:
        self.lie, self.refused = reason, data[at:]
        return len(data)
