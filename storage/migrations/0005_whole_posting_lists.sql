-- The logs of a token as one list, up to as many as a sixth of a large day has: only such a list tells a search which
-- granules it need not visit. In shorter pieces it tells no more than where each piece begins and ends.
ALTER TABLE {local:logs} {on_cluster} MODIFY SETTING text_index_posting_list_block_size = 16777216;
