"""Fixtures that the tests of several routes share."""

from tests.alerts.conftest import alert_store

__all__ = ["alert_store"]
