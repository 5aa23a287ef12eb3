"""Whether the cluster can be used, told within a time: Spark's own client tries for ever.

First what answers at the address, then, with nothing sent before that is known, whether it takes the token.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from .errors import ClusterError
from .remote import Remote


def remaining(end: float) -> float:
    """Return how many seconds are left, and a moment when there are none."""
    return max(end - time.monotonic(), 0.1)


def reach(remote: Remote, end: float) -> None:
    """See that the cluster answers, with its certificate, before ``end``.

    ``end``: of time.monotonic(). Raises ClusterError.
    """
    place = f"{remote.host}:{remote.port}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    try:
        context.load_verify_locations(cadata=remote.certificate.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ClusterError(
            "The certificate of the Spark cluster here is none. Run cluster.yml again."
        ) from None
    try:
        with socket.create_connection((remote.host, remote.port), timeout=remaining(end) / 2) as connection:
            connection.settimeout(remaining(end) / 2)
            try:
                context.wrap_socket(connection, server_hostname=remote.host).close()
            except ssl.SSLCertVerificationError as error:
                raise ClusterError(
                    f"What answers at {place} has another certificate than the Spark cluster "
                    f"({error.verify_message}). Nothing was sent to it. Run cluster.yml again."
                ) from None
            except OSError as error:  # SSLError and what is too slow are such too
                raise ClusterError(
                    f"What answers at {place} is no Spark cluster ({_reason(error)})."
                ) from None
    except ClusterError:
        raise
    except OSError as error:
        raise ClusterError(
            f"The Spark cluster cannot be reached at {place} ({_reason(error)}). It ends when nobody uses "
            "it: have it started again with cluster.yml."
        ) from None


def _reason(error: OSError) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)


def ask(builder: Any, end: float) -> tuple[str, str]:
    """Return the cluster's version of Spark, and which life of its server's session this is.

    ``builder``: the channel builder of Spark's client, with a session_id and a user_id. Raises ClusterError.
    """
    import grpc  # noqa: PLC0415 - see the package's own text
    from pyspark.sql.connect.proto import AnalyzePlanRequest  # noqa: PLC0415
    from pyspark.sql.connect.proto.base_pb2_grpc import SparkConnectServiceStub  # noqa: PLC0415

    request = AnalyzePlanRequest(session_id=builder.session_id, client_type=builder.userAgent)
    request.user_context.user_id = builder.userId
    request.spark_version.SetInParent()
    channel = builder.toChannel()
    try:
        answer = SparkConnectServiceStub(channel).AnalyzePlan(request, timeout=remaining(end))
    except grpc.RpcError as error:
        raise ClusterError(_refusal(error.code().name, error.details() or "")) from None
    finally:
        channel.close()
    return answer.spark_version.version, answer.server_side_session_id


def _refusal(code: str, details: str) -> str:
    if code == "UNAUTHENTICATED":
        return "The Spark cluster refuses the token of this machine. Run cluster.yml again."
    if code == "DEADLINE_EXCEEDED":
        return "The Spark cluster does not answer in time: it may still be starting. Try again in a minute."
    if code == "UNAVAILABLE":
        return "Spark Connect does not run on the cluster. It stops when nobody uses it: run cluster.yml."
    return f"The Spark cluster refuses to be used ({code}: {details[:200]})."
