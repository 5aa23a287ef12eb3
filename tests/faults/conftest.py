"""The account that the tests of faults have is that of the integration tests."""

from tests.integration.conftest import endpoint

__all__ = ["endpoint"]
