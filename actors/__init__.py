"""The pipeline, one file an actor: plain classes, wrapped by Ray at the end of each file."""
