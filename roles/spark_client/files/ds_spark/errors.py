"""The one exception for everything that keeps a user from the cluster."""

from __future__ import annotations


class ClusterError(ConnectionError):
    """The cluster cannot be used now. The message says why and what to do, with no secrets in it."""

    def _render_traceback_(self) -> list[str]:
        """Show the message alone in a notebook: where it was raised helps nobody there."""
        return [f"ClusterError: {self}"]
