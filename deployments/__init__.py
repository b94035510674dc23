"""The HTTP API: Ray Serve deployments behind HAProxy."""
