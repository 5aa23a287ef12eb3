# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of a stack in SSM Parameter Store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.errors import AWSErrorHandler
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.tagging import (
    ansible_dict_to_boto3_tag_list,
    boto3_tag_list_to_ansible_dict,
)

NAME_TAG = "ds-stack:name"
DELETED_AT_ONCE = 10
"""The most that AWS takes in one call of DeleteParameters."""


class ParameterError(AnsibleAWSError):
    """A call of SSM failed."""


class _ErrorHandler(AWSErrorHandler):
    _CUSTOM_EXCEPTION = ParameterError

    @classmethod
    def _is_missing(cls) -> Any:
        return is_boto3_error_code("ParameterNotFound")


@dataclass(frozen=True)
class Paths:
    """Where a stack's parameters are."""

    stack: str

    @property
    def root(self) -> str:
        """Above everything of the stack."""
        return f"/ds-stack/{self.stack}"

    @property
    def passwords(self) -> str:
        """Passwords by user, for the operator's eyes."""
        return f"{self.root}/operator/passwords"

    @property
    def machine_users(self) -> str:
        """Password hashes by user, for the machine."""
        return f"{self.root}/machine/users"

    @property
    def config(self) -> str:
        """What the machine is to be."""
        return f"{self.root}/machine/config"

    @property
    def status(self) -> str:
        """What the machine says of itself."""
        return f"{self.root}/machine/status"


@dataclass(frozen=True)
class Parameter:
    """A parameter. The value of a SecureString is its ciphertext unless it was asked to be decrypted."""

    value: str = field(repr=False)
    version: int


class ParameterStore:
    """Calls of SSM. All methods raise ParameterError."""

    def __init__(self, client: Any) -> None:
        """Use a boto3 client with amazon.aws' retries."""
        self._client = client

    @_ErrorHandler.list_error_handler("read a parameter")
    def get(self, name: str, decrypt: bool = False) -> Parameter | None:
        """Return one parameter, or None when there is none of this name."""
        found = self._client.get_parameter(Name=name, WithDecryption=decrypt, aws_retry=True)["Parameter"]
        return Parameter(found["Value"], found["Version"])

    @_ErrorHandler.common_error_handler("list the stack's parameters")
    def below(self, path: str, recursive: bool = False, decrypt: bool = False) -> dict[str, Parameter]:
        """Return the parameters below a path, by their names relative to it."""
        found: dict[str, Parameter] = {}
        page: dict[str, str] = {}
        while True:
            answer = self._client.get_parameters_by_path(
                Path=path, Recursive=recursive, WithDecryption=decrypt, aws_retry=True, **page
            )
            for one in answer["Parameters"]:
                found[one["Name"][len(path) + 1 :]] = Parameter(one["Value"], one["Version"])
            if not answer.get("NextToken"):
                return found
            page = {"NextToken": answer["NextToken"]}

    @_ErrorHandler.common_error_handler("write a parameter")
    def put_secret(
        self,
        name: str,
        value: str,
        *,
        description: str,
        kms_key_id: str | None,
        tags: Mapping[str, str],
        new: bool,
    ) -> int:
        """Write a SecureString and return its version. Only a new one gets the tags (AWS takes no others)."""
        return self._put(
            name, value, kind="SecureString", description=description, tags=tags, new=new, key=kms_key_id
        )

    @_ErrorHandler.common_error_handler("write a parameter")
    def put_text(self, name: str, value: str, *, description: str, tags: Mapping[str, str], new: bool) -> int:
        """Write a String and return its version. Only a new one gets the tags."""
        return self._put(name, value, kind="String", description=description, tags=tags, new=new, key=None)

    def _put(
        self,
        name: str,
        value: str,
        *,
        kind: str,
        description: str,
        tags: Mapping[str, str],
        new: bool,
        key: str | None,
    ) -> int:
        options: dict[str, Any] = {"KeyId": key} if key else {}
        if new:
            options["Tags"] = ansible_dict_to_boto3_tag_list(dict(tags))
        answer = self._client.put_parameter(
            Name=name,
            Value=value,
            Description=description,
            Type=kind,
            Overwrite=not new,
            aws_retry=True,
            **options,
        )
        return int(answer["Version"])

    @_ErrorHandler.common_error_handler("read a parameter's tags")
    def tags(self, name: str) -> dict[str, str]:
        """Return a parameter's tags."""
        answer = self._client.list_tags_for_resource(
            ResourceType="Parameter", ResourceId=name, aws_retry=True
        )
        return dict(boto3_tag_list_to_ansible_dict(answer["TagList"]))

    @_ErrorHandler.common_error_handler("tag a parameter")
    def add_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Give a parameter these tags; its others stay."""
        self._client.add_tags_to_resource(
            ResourceType="Parameter",
            ResourceId=name,
            Tags=ansible_dict_to_boto3_tag_list(dict(tags)),
            aws_retry=True,
        )

    @_ErrorHandler.common_error_handler("remove parameters")
    def delete(self, names: Collection[str]) -> None:
        """Remove parameters; those that are not there are no error."""
        ordered = sorted(names)
        for start in range(0, len(ordered), DELETED_AT_ONCE):
            self._client.delete_parameters(Names=ordered[start : start + DELETED_AT_ONCE], aws_retry=True)
