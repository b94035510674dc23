"""What a partition writer asks of the store, and which of its refusals will pass by themselves."""

from typing import Final, Protocol

import pyarrow as pa

from core.errors import StorageError, StorageUnavailable


class Store(Protocol):
    """The tables; both methods return when the rows are durable, and drop a repeated token.

    They raise StorageUnavailable or StorageError, and are called from one thread at a time.
    """

    def insert_logs(self, logs: pa.Table, token: str) -> None:
        """Insert rows of read_back.STORED_LOG_SCHEMA."""
        ...

    def insert_dead_letters(self, dead_letters: pa.Table, token: str) -> None:
        """Insert rows of core.log_batch.DEAD_LETTER_SCHEMA."""
        ...


# Codes of ClickHouse's ErrorCodes.cpp that speak of a row's content: the same row will be refused again.
ROW_CODES: Final = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        117,  # INCORRECT_DATA
        128,  # TOO_LARGE_ARRAY_SIZE
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
        469,  # VIOLATED_CONSTRAINT
    }
)
# Codes that the client reports as refusals, but that speak of the server or its configuration: an operator
# mends them, and nothing may be given up meanwhile. (What is transient is StorageUnavailable already.)
PASSING_CODES: Final = frozenset(
    {
        0,  # no code: the answer did not come from ClickHouse
        16,  # NO_SUCH_COLUMN_IN_TABLE
        47,  # UNKNOWN_IDENTIFIER
        60,  # UNKNOWN_TABLE
        74,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
        75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
        76,  # CANNOT_OPEN_FILE
        77,  # CANNOT_CLOSE_FILE
        81,  # UNKNOWN_DATABASE
        115,  # UNKNOWN_SETTING
        159,  # TIMEOUT_EXCEEDED
        164,  # READONLY
        173,  # CANNOT_ALLOCATE_MEMORY
        192,  # UNKNOWN_USER
        201,  # QUOTA_EXCEEDED
        394,  # QUERY_WAS_CANCELLED
        425,  # SYSTEM_ERROR
        497,  # ACCESS_DENIED
        516,  # AUTHENTICATION_FAILED
        1001,  # STD_EXCEPTION: what the C++ library says of a disk
        1002,  # UNKNOWN_EXCEPTION
    }
)


def will_pass(error: StorageError) -> bool:
    """Whether the same insert can be expected to succeed later."""
    return isinstance(error, StorageUnavailable) or error.code in PASSING_CODES
