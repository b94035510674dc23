"""SQL, an INSERT's data and the format of the answer are told apart as ClickHouse does it."""

import pytest

from storage.embedded.statement import Kind, SeveralStatements, Statement, read_statement

OWN_ID = b"if(Settings['log_comment'] != '', Settings['log_comment'], query_id)"
READ, INSERT, OTHER = Kind.READ, Kind.INSERT, Kind.OTHER


def insert(sql: bytes, format_name: str, data: bytes, settings: bytes = b"") -> Statement:
    return Statement(INSERT, sql, format_name, settings, data)


def select(sql: bytes, format_name: str | None = None) -> Statement:
    return Statement(READ, sql, format_name, streams=True)


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        pytest.param(b"SELECT 1", b"", select(b"SELECT 1"), id="query alone"),
        pytest.param(b"", b"SELECT 1", select(b"SELECT 1"), id="body alone"),
        pytest.param(b"SELECT", b"1", select(b"SELECT\n1"), id="a query that goes on in the body"),
        pytest.param(b"SELECT 1;", b"", select(b"SELECT 1"), id="semicolon at the end"),
        pytest.param(
            b"SELECT 1 ; -- done\n;/* yes */",
            b"",
            select(b"SELECT 1 ; -- done\n;/* yes */"),
            id="comments behind",
        ),
        pytest.param(b"select 1 format CSV", b"", select(b"select 1 format CSV", "CSV"), id="format"),
        pytest.param(
            b"SELECT ' FORMAT CSV; x' FORMAT Native",
            b"",
            select(b"SELECT ' FORMAT CSV; x' FORMAT Native", "Native"),
            id="quoted keywords",
        ),
        pytest.param(
            b"SELECT `a;b`, \"c;d\", 'it''s;', 'e\\';f' -- ; g\n",
            b"",
            select(b"SELECT `a;b`, \"c;d\", 'it''s;', 'e\\';f' -- ; g"),
            id="semicolons in quotes and comments",
        ),
        pytest.param(
            b" /* x */ -- y\n ((SELECT 1))",
            b"",
            select(b" /* x */ -- y\n ((SELECT 1))"),
            id="leading",
        ),
        pytest.param(b"with 1 as x select x", b"", select(b"with 1 as x select x"), id="with"),
        pytest.param(b"FROM t SELECT 1", b"", select(b"FROM t SELECT 1"), id="from first"),
        pytest.param(b"DESC t", b"", Statement(READ, b"DESC t"), id="describe"),
        pytest.param(b"CREATE TABLE t (a Int8)", b"", Statement(OTHER, b"CREATE TABLE t (a Int8)"), id="ddl"),
        pytest.param(
            b"INSERT INTO t FORMAT CSV",
            b"1,2\n",
            insert(b"INSERT INTO t ", "CSV", b"1,2\n"),
            id="insert",
        ),
        pytest.param(
            b"",
            b"INSERT INTO t FORMAT JSONEachRow\n{}",
            insert(b"INSERT INTO t ", "JSONEachRow", b"{}"),
            id="insert with its data in the body",
        ),
        pytest.param(
            b"INSERT INTO t (a) VALUES",
            b"(1)",
            insert(b"INSERT INTO t (a) ", "Values", b"\n(1)"),
            id="values",
        ),
        pytest.param(
            b"INSERT INTO t (a) VALUES (';')",
            b"",
            insert(b"INSERT INTO t (a) ", "Values", b" (';')"),
            id="values in the query",
        ),
        pytest.param(
            b"INSERT INTO t FORMAT TSV",
            b"INSERT\t;\n",
            insert(b"INSERT INTO t ", "TSV", b"INSERT\t;\n"),
            id="data that looks like SQL",
        ),
        pytest.param(
            b"INSERT INTO t FORMAT RowBinary",
            b"\x00\xff;",
            insert(b"INSERT INTO t ", "RowBinary", b"\x00\xff;"),
            id="binary data",
        ),
        pytest.param(
            b"INSERT INTO t FORMAT RowBinary",
            b"\n\n",
            insert(b"INSERT INTO t ", "RowBinary", b"\n\n"),
            id="binary data that begins with line ends",
        ),
        pytest.param(
            b"INSERT INTO t SELECT 1 FORMAT CSV",
            b"",
            Statement(OTHER, b"INSERT INTO t SELECT 1 FORMAT CSV"),
            id="insert select",
        ),
        pytest.param(
            b"KILL QUERY WHERE query_id = 'a'",
            b"",
            Statement(Kind.KILL, b"KILL QUERY WHERE " + OWN_ID + b" = 'a'"),
            id="kill",
        ),
        pytest.param(
            b"INSERT INTO t (a) SETTINGS async_insert = 0 FORMAT CSV",
            b"1",
            insert(b"INSERT INTO t (a) ", "CSV", b"1", b"SETTINGS async_insert = 0 "),
            id="insert with settings",
        ),
        pytest.param(b"", b"", Statement(OTHER, b""), id="nothing"),
    ],
)
def test_a_statement_is_read(query: bytes, body: bytes, expected: Statement) -> None:
    assert read_statement(query, body) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1; SELECT 2",
        b"SELECT 1; -- x\nDROP TABLE t",
        b"CREATE TABLE t (a Int8); DROP TABLE t",
        b"SELECT 1;;/**/x",
    ],
)
def test_several_statements_are_refused(text: bytes) -> None:
    with pytest.raises(SeveralStatements):
        read_statement(text, b"")


def test_large_data_is_not_searched_for_keywords() -> None:
    data = b"('" + b"x" * (8 << 20) + b" FORMAT CSV')"
    statement = read_statement(b"INSERT INTO t FORMAT Values", data)
    assert (statement.format, statement.data) == ("Values", data)


def test_an_unclosed_quote_takes_no_time() -> None:
    assert read_statement(b"SELECT '" + b"a\\'" * 100_000, b"").kind is READ
