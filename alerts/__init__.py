"""Alert rules: conditions, the state machine and the notices, free of Ray."""
