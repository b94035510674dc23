"""What every other package may import: settings, errors, limits, metrics and the batch of logs."""
