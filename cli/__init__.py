"""The command `logray`: start, stop and look at an instance."""
