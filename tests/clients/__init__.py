"""Clients that use the services as people do, for the tests."""
