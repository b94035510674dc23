"""Wire formats: bytes from a client to a LogBatch, and a stored log back to the object that was sent."""
