"""Fields with a column of their own in the log table, beside their place among all fields."""

import re
from typing import Final

OWN_COLUMNS_MAX: Final = 16  # each costs an insert 3 %
OWN_COLUMN_PREFIX: Final = "field."
OWN_COLUMN_NAME: Final = re.compile(r"[A-Za-z_@][A-Za-z0-9_@.-]{0,99}")


def own_column(field: str) -> str:
    """The column of a field as SQL writes it; it holds the same JSON text as the packed fields."""
    assert OWN_COLUMN_NAME.fullmatch(field), "settings let no other names through"
    return f"`{OWN_COLUMN_PREFIX}{field}`"
