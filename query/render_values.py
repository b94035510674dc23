"""The SQL of single values: what a JSON text holds, and tests of it."""

from collections.abc import Callable

from query.catalog import Field, Kind
from query.statement import Binds

Test = Callable[[str], str]  # takes the SQL of a value, gives the SQL of a condition that is never NULL


def plain(value: str) -> str:
    """A JSON text as a person reads it: a string without its quotes and escapes, anything else as it is."""
    return f"if(startsWith({value}, '\"'), JSONExtractString({value}), {value})"


def number(field: Field, bind: Binds) -> str:
    """A field's number, also one that was sent as a string; NULL or NaN where it holds none."""
    return number_in(field.sql(bind))


def number_in(value: str) -> str:
    """The number in a JSON text as Float64, NULL for none."""
    return f"toFloat64OrNull(trim(BOTH '\"' FROM {value}))"


def integer_in(value: str) -> str:
    """The integer in a JSON text with every digit, NULL for none."""
    return f"toInt256OrNull(trim(BOTH '\"' FROM {value}))"


def instant_in(value: str) -> str:
    """The time (ISO 8601) in a JSON string as DateTime64(9), NULL for none."""
    # RE2 in single quotes, where SQL reads `\\d` as `\d`.
    iso = r'^"\\d{4}-\\d\\d-\\d\\d([Tt ]\\d\\d:\\d\\d(:\\d\\d([.]\\d{1,9})?)?([Zz]|[+-]\\d\\d:?\\d\\d)?)?"$'
    text = f"if(match({value}, '{iso}'), trim(BOTH '\"' FROM {value}), '')"
    return f"parseDateTime64BestEffortOrNull({text}, 9, 'UTC')"


def exists(field: Field, bind: Binds) -> str:
    """The log has the field."""
    if field.kind in (Kind.JSON, Kind.KEYWORD):
        return f"{field.sql(bind)} != ''"
    return "true"


def any_value(field: Field, bind: Binds, test: Test) -> str:
    """The field is there and its value, or an element of the array that it holds, passes the test."""
    value = field.sql(bind)
    if field.kind is Kind.JSON:
        elements = f"arrayExists(element -> {test('element')}, JSONExtractArrayRaw({value}))"
        return f"if(startsWith({value}, '['), {elements}, {value} != '' AND {test(value)})"
    if field.kind is Kind.KEYWORD:
        return f"({value} != '' AND {test(value)})"
    return test(value)


def any_text(field: Field, bind: Binds, test: Test) -> str:
    """The same, of the value as a person reads it."""
    if field.kind is Kind.JSON:
        return any_value(field, bind, lambda value: test(plain(value)))
    return any_value(field, bind, test)
