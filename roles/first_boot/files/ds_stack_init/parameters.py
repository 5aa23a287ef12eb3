"""The stack's parameters in SSM Parameter Store, as far as the machine's role may see them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import InitError
from .settings import Settings

SSH_KEYS = "ssh_keys"


class Unavailable(InitError):
    """SSM did not give what was asked for; it may a little later."""


class Missing(Unavailable):
    """SSM has no such parameter."""


@dataclass(frozen=True)
class Parameter:
    """A parameter's value and version number."""

    value: str = field(repr=False)
    version: int


class Parameters:
    """What the machine reads and writes."""

    def __init__(self, connect: Callable[[], Any], stack: str) -> None:
        """Use the boto3 client of SSM that ``connect`` returns, for the stack of this name."""
        self._connect = connect
        self._client: Any = None
        self._base = f"/ds-stack/{stack}/machine"

    @classmethod
    def of_machine(cls, settings: Settings, region: str, stack: str) -> Parameters:
        """Return the parameters of a stack, reached with the credentials of the machine's role."""
        # boto3 asks the same metadata service, and nothing else: what an administrator may have
        # configured for root is not the machine's.
        os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = settings.metadata_url
        os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull

        def connect() -> Any:
            # The rest of the program, and its tests, do without boto3.
            import boto3  # noqa: PLC0415
            from botocore.config import Config  # noqa: PLC0415

            return boto3.session.Session().client(
                "ssm",
                region_name=settings.region or region,
                endpoint_url=settings.endpoint_url,
                config=Config(
                    connect_timeout=5, read_timeout=15, retries={"mode": "standard", "max_attempts": 5}
                ),
            )

        return cls(connect, stack)

    def config(self) -> Parameter:
        """Return the machine's configuration. Raises Unavailable."""
        found = self._call("get_parameter", Name=f"{self._base}/config")["Parameter"]
        return Parameter(found["Value"], found["Version"])

    def cluster_version(self) -> int | None:
        """Return the version of what is told of the stack's Spark cluster, or None while there is none.

        Raises Unavailable.
        """
        return one.version if (one := self._cluster(decrypt=False)) else None

    def cluster(self) -> Parameter | None:
        """Return what is told of the Spark cluster, or None while there is none. Raises Unavailable."""
        return self._cluster(decrypt=True)

    def credential_versions(self) -> dict[str, int]:
        """Return name → version of all that is about users, without reading a hash. Raises Unavailable."""
        return {name: one.version for name, one in self._credentials(decrypt=False).items()}

    def credentials(self) -> dict[str, Parameter]:
        """Return what lets users in: ``ada`` is her password hash, ``ada/ssh_keys`` holds her SSH keys.

        Raises Unavailable.
        """
        return self._credentials(decrypt=True)

    def put_status(self, instance_id: str, document: str) -> None:
        """Write a machine's status: while one replaces the other, the stack has two. Raises Unavailable."""
        name = f"{self._base}/status/{instance_id}"
        self._call("put_parameter", Name=name, Value=document, Type="String", Overwrite=True)

    def _cluster(self, decrypt: bool) -> Parameter | None:
        try:
            found = self._call("get_parameter", Name=f"{self._base}/cluster", WithDecryption=decrypt)[
                "Parameter"
            ]
        except Missing:
            return None
        return Parameter(found["Value"], found["Version"])

    def _credentials(self, decrypt: bool) -> dict[str, Parameter]:
        folder = f"{self._base}/users"
        found: dict[str, Parameter] = {}
        page: dict[str, Any] = {}
        while True:
            answer = self._call(
                "get_parameters_by_path", Path=folder, Recursive=True, WithDecryption=decrypt, **page
            )
            for one in answer["Parameters"]:
                found[one["Name"].removeprefix(f"{folder}/")] = Parameter(one["Value"], one["Version"])
            if not answer.get("NextToken"):
                return found
            page = {"NextToken": answer["NextToken"]}

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        place = arguments.get("Name") or arguments.get("Path")
        try:
            if self._client is None:
                self._client = self._connect()
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown error")
            kind = Missing if code == "ParameterNotFound" else Unavailable
            raise kind(f"SSM refuses {operation} of {place}: {code}.") from None
        except BotoCoreError as error:
            self._client = None  # it would never look for the role's credentials again
            raise Unavailable(f"SSM cannot be reached for {operation} of {place}: {error}.") from None
        return answer
