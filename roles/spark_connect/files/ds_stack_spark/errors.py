"""The one exception for everything that the operator can understand and mend."""

from __future__ import annotations


class ConnectError(Exception):
    """Something is wrong with the stack or the node. The message is shown: no secrets in it."""
