"""A dead letter's raw bytes, read once more: by the rules of today they may be logs."""

from core.errors import LograyError, RejectedRecord
from core.limits import REQUEST_LOGS_MAX
from core.log_batch import LogBatch, Received
from formats.columns import LogColumns
from formats.json_logs import parse_logs
from formats.syslog_columns import read_syslog
from formats.syslog_time import Arrival


def reread(raw: bytes, received: Received) -> LogBatch:
    """The logs in it: a JSON record or body, or a line of syslog.

    Raises RejectedRecord with the reason when any part of it is still no log.
    """
    try:
        parsed = parse_logs(raw, None, received)
    except LograyError as error:
        if received.method == "http":
            raise RejectedRecord(str(error)) from None
    else:
        if not parsed.errors:
            assert parsed.accepted <= REQUEST_LOGS_MAX
            return parsed.batch
        if received.method == "http":
            raise RejectedRecord(parsed.errors[0][1])
    message = read_syslog(raw.decode(errors="backslashreplace"), Arrival(received.at_ns))
    if message is None:
        raise RejectedRecord("record: neither JSON nor syslog")
    columns = LogColumns()
    header = message.header
    columns.append(
        message.timestamp_ns,
        header.level,
        header.service,
        message.text,
        header.names,
        header.values,
        header.shape,
    )
    return columns.build(received)
