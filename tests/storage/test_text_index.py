"""The text index of the log table tells a search which granules it need not visit."""

from storage.clickhouse import ClickHouse
from storage.log_table import INSERT_SETTINGS

# More logs than a piece of a posting list has when nothing is said: 1,048,576.
ROWS = 1_200_000
# Of each hour one service's logs, whose messages are one word, lie before those of another one.
FILL = """
INSERT INTO logs (timestamp, seq, level, service, message, shape, ingested_at, source_ip, method)
SELECT
    toDateTime64(intDiv(number * 14_400, {rows:UInt64}), 9, 'UTC') AS at, number, 'info',
    ['with', 'without'][number % 2 + 1], ['needle', ''][number % 2 + 1],
    '', at, '', 'http'
FROM numbers({rows:UInt64})
"""


def test_a_word_of_very_many_logs_is_looked_for_where_it_is(clickhouse: ClickHouse) -> None:
    settings = {**INSERT_SETTINGS, "insert_deduplication_token": "all"}
    clickhouse.command(FILL, {"rows": 2 * ROWS}, settings)
    found = clickhouse.query("SELECT count() FROM logs WHERE hasAllTokens(tokens, ['needle']) AND hour >= 1")
    assert int(found.rows[0][0]) == ROWS * 3 // 4
    assert found.cost.read_rows < ROWS
