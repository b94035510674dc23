-- A merge of many parts takes its rows from all of them in turn: blocks of two granules stay in the processor's cache.
ALTER TABLE {local:logs} {on_cluster} MODIFY SETTING merge_max_block_size = 2048;
