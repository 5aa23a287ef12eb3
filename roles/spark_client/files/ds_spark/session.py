"""One session for a Python process, that answers."""

from __future__ import annotations

import getpass
import time
import uuid
from dataclasses import dataclass
from typing import Any

from . import check, remote
from .errors import ClusterError
from .remote import Remote

TIMEOUT_SECONDS = 15.0
LONGEST_SECONDS = 86400
# So long a session that has answered is taken for one that does.
FRESH_SECONDS = 60.0


@dataclass
class Current:
    """The session in use, of which life of the server, and when it has answered last (time.monotonic())."""

    remote: Remote
    builder: Any
    life: str
    session: Any
    answered: float


class _Holder:
    current: Current | None = None


def connect(timeout: float = TIMEOUT_SECONDS) -> Any:
    """Return a SparkSession of the cluster: the one that this process has, if it still answers, or a new one.

    ``timeout``: seconds after which it gives up. Raises ClusterError, which says what is wrong.
    """
    if not 0 < timeout <= LONGEST_SECONDS:
        raise ValueError(
            f"timeout: {timeout} is not possible. Take seconds above 0, at most {LONGEST_SECONDS}."
        )
    end = time.monotonic() + timeout
    found = remote.read()
    check.reach(found, end)
    current = _usable(found)
    builder = current.builder if current else _builder(found)
    version, life = check.ask(builder, end)
    _same_version(version)
    if current is None or current.life != life:  # the server has begun anew, and knows nothing of before
        _forget()
        current = Current(found, builder, life, _session(builder), end)
    current.answered = time.monotonic()
    _Holder.current = current
    return current.session


def _usable(found: Remote) -> Current | None:
    current = _Holder.current
    usable = current is not None and current.remote == found and not current.session.is_stopped
    return current if usable else None


def _forget() -> None:
    """Close the session of before without telling its server, which may be gone and would be waited for."""
    if _Holder.current is not None:
        _Holder.current.session.release_session_on_close = False
        _Holder.current.session.stop()
    _Holder.current = None


def _builder(found: Remote) -> Any:
    import grpc  # noqa: PLC0415 - see the package's own text
    from pyspark.sql.connect.client import DefaultChannelBuilder  # noqa: PLC0415

    class Builder(DefaultChannelBuilder):
        """Trusts the cluster's own certificate and no authority."""

        def toChannel(self) -> Any:
            credentials = grpc.ssl_channel_credentials(found.certificate)
            if self.token is not None:
                credentials = grpc.composite_channel_credentials(
                    credentials, grpc.access_token_call_credentials(self.token)
                )
            return grpc.secure_channel(self.endpoint, credentials, self.GRPC_DEFAULT_OPTIONS)

    builder = Builder(found.url)
    builder.set("session_id", str(uuid.uuid4()))
    builder.set("user_id", getpass.getuser())
    return builder


def _session(builder: Any) -> Any:
    from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415

    return SparkSession.builder.channelBuilder(builder).create()


def _same_version(version: str) -> None:
    from pyspark import __version__  # noqa: PLC0415

    if version != __version__:
        raise ClusterError(
            f"The cluster has Spark {version}, and this Python the client of {__version__}, which does not "
            "understand it. Use the machine's own Python environment, or bake the machine's image again."
        )


class Spark:
    """What `spark` is until it is used: then it does what the SparkSession does."""

    def __getattr__(self, name: str) -> Any:
        """Give what the session has of this name. Raises ClusterError."""
        if name.startswith("_"):  # what notebooks look for in every object connects nobody
            raise AttributeError(name)
        return getattr(session(), name)

    def __dir__(self) -> list[str]:
        """Offer what the session has, once there is one."""
        current = _Holder.current
        return dir(current.session) if current else list(super().__dir__())

    def __repr__(self) -> str:
        """Tell what it is, without connecting."""
        return "<Spark session of this stack's cluster: connects when it is used>"


def session() -> Any:
    """Return the session in use, if it has answered a moment ago, or `connect`."""
    current = _Holder.current
    if current and not current.session.is_stopped and time.monotonic() - current.answered < FRESH_SECONDS:
        return current.session
    return connect()
