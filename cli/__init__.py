"""The command line: `logray up`, `down`, `status`, `version`."""
