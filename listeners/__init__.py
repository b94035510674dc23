"""From sockets to batches: connections, their messages, and the way of these to the partition writers."""
