"""The credentials that instances get from their metadata service, and whose role they stand for."""

import base64
import hashlib
import secrets
import threading
from dataclasses import dataclass

from localcloud.imds import RoleCredentials


@dataclass(frozen=True)
class Holder:
    """Who signs with an access key id.

    Attributes:
        account: account id.
        role: name of the IAM role.
    """

    account: str
    role: str


class InstanceCredentials:
    """Issues credentials and recognises them again. They end with the server."""

    def __init__(self) -> None:
        """Draw a secret that all credentials of this server derive from."""
        self._seed = secrets.token_bytes(32)
        self._holders: dict[str, Holder] = {}
        self._lock = threading.Lock()

    def issue(self, instance_id: str, holder: Holder) -> RoleCredentials:
        """The credentials of an instance's role: the same ones each time."""
        digest = hashlib.sha512(self._seed + f"{instance_id}/{holder.role}".encode()).digest()
        key = "ASIA" + base64.b32encode(digest[:10]).decode()
        with self._lock:
            self._holders[key] = holder
        return RoleCredentials(
            role=holder.role,
            access_key_id=key,
            secret_access_key=base64.b64encode(digest[10:40]).decode(),
            token=base64.b64encode(digest[40:]).decode(),
        )

    def holder(self, access_key_id: str) -> Holder | None:
        """Whose key it is; None when it was not issued to an instance."""
        with self._lock:
            return self._holders.get(access_key_id)
