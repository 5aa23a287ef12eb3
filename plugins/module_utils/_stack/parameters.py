# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of a stack in SSM Parameter Store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.errors import AWSErrorHandler
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.tagging import (
    ansible_dict_to_boto3_tag_list,
    boto3_tag_list_to_ansible_dict,
)

from .names import check_tags

NAME_TAG = "ds-stack:name"
SSH_KEYS = "ssh_keys"
STACKS = "/ds-stack"
RECORD = "/operator/stack"
ACCOUNTS_KEY = "alias/aws/ssm"
"""The KMS key that SSM takes where none is named."""
DELETED_AT_ONCE = 10
"""The most that AWS takes in one call of DeleteParameters."""


class ParameterError(AnsibleAWSError):
    """A call of SSM failed."""


class _ErrorHandler(AWSErrorHandler):
    _CUSTOM_EXCEPTION = ParameterError

    @classmethod
    def _is_missing(cls) -> Any:
        return is_boto3_error_code("ParameterNotFound")


class _KeyErrorHandler(AWSErrorHandler):
    _CUSTOM_EXCEPTION = ParameterError

    @classmethod
    def _is_missing(cls) -> Any:
        return is_boto3_error_code("NotFoundException")


@dataclass(frozen=True)
class Paths:
    """Where a stack's parameters are."""

    stack: str

    @property
    def root(self) -> str:
        """Above everything of the stack."""
        return f"{STACKS}/{self.stack}"

    @property
    def passwords(self) -> str:
        """Passwords by user, for the operator's eyes."""
        return f"{self.root}/operator/passwords"

    @property
    def record(self) -> str:
        """What the account remembers of the stack. Where that is long, the rest of it lies below."""
        return f"{self.root}{RECORD}"

    @property
    def lock(self) -> str:
        """Who changes the stack at present."""
        return f"{self.root}/operator/lock"

    @property
    def machine_users(self) -> str:
        """Password hashes by user, for the machine."""
        return f"{self.root}/machine/users"

    def ssh_keys(self, user: str) -> str:
        """SSH keys of a user, for the machine: below the password hash, so that one call finds both."""
        return f"{self.machine_users}/{user}/{SSH_KEYS}"

    @property
    def config(self) -> str:
        """What the machine is to be."""
        return f"{self.root}/machine/config"

    @property
    def connect(self) -> str:
        """Token and certificate of the cluster, for its nodes."""
        return f"{self.root}/cluster/connect"

    @property
    def machine_cluster(self) -> str:
        """Where the cluster is, for the machine."""
        return f"{self.root}/machine/cluster"

    def status(self, instance_id: str) -> str:
        """What a machine says of itself."""
        return f"{self.old_status}/{instance_id}"

    @property
    def old_status(self) -> str:
        """The same, of whatever machine, where its image is of a release before there could be two."""
        return f"{self.root}/machine/status"


class ForeignParameterError(Exception):
    """A parameter with the name of ours is none of ours; the message says what to do."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(
            f"The parameter {name} {what}, so this module has not written it, and nothing was changed. Look "
            f"at it, remove it with: aws ssm delete-parameter --name {name}, and run this again."
        )


@dataclass(frozen=True)
class Parameter:
    """A parameter. The value of a SecureString is its ciphertext unless it was asked to be decrypted."""

    value: str = field(repr=False)
    version: int
    kind: str = "String"

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Parameter:
        """Read what SSM says of one parameter."""
        return cls(found["Value"], found["Version"], found["Type"])

    def require(self, name: str, kind: str) -> None:
        """Raise ForeignParameterError unless it is of a kind: SSM does not let it become another."""
        if self.kind != kind:
            raise ForeignParameterError(name, f"is a {self.kind}, not a {kind}")


class ParameterStore:
    """Calls of SSM. All methods raise ParameterError, which names the parameter.

    Attributes:
        done: what was changed so far, for whoever has to say what a failure has left.
    """

    def __init__(self, client: Any) -> None:
        """Use a boto3 client with amazon.aws' retries."""
        self._client = client
        self.done: list[str] = []

    def get(self, name: str, decrypt: bool = False) -> Parameter | None:
        """Return one parameter, or None when there is none of this name."""
        read = _ErrorHandler.list_error_handler(f"read a parameter ({name})")(self._client.get_parameter)
        found = read(Name=name, WithDecryption=decrypt, aws_retry=True)
        return Parameter.parse(found["Parameter"]) if found else None

    def below(self, path: str, recursive: bool = False, decrypt: bool = False) -> dict[str, Parameter]:
        """Return the parameters below a path, by their names relative to it."""
        pages = self._pages(
            "get_parameters_by_path",
            f"list the stack's parameters ({path})",
            Path=path,
            Recursive=recursive,
            WithDecryption=decrypt,
        )
        return {one["Name"][len(path) + 1 :]: Parameter.parse(one) for one in pages}

    def keys(self, path: str) -> dict[str, str]:
        """Return the KMS keys of the SecureStrings directly below a path, by their names relative to it."""
        pages = self._pages(
            "describe_parameters",
            f"read which keys the stack's parameters have ({path})",
            ParameterFilters=[{"Key": "Path", "Option": "OneLevel", "Values": [path]}],
        )
        return {one["Name"][len(path) + 1 :]: one.get("KeyId", "") for one in pages}

    def stacks(self) -> list[str]:
        """Return the names of the region's stacks: of those that have a record."""
        pages = self._pages(
            "describe_parameters",
            "list the stacks",
            ParameterFilters=[
                {"Key": "Path", "Option": "Recursive", "Values": [STACKS]},
                {"Key": "Name", "Option": "Contains", "Values": [RECORD]},
            ],
        )
        names = (one["Name"] for one in pages if one["Name"].endswith(RECORD))
        return [name.removeprefix(f"{STACKS}/").removesuffix(RECORD) for name in names]

    def _pages(self, operation: str, doing: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        page: dict[str, str] = {}
        while True:
            answer = self._call(operation, doing, **arguments, **page)
            yield from answer["Parameters"]
            if not answer.get("NextToken"):
                return
            page = {"NextToken": answer["NextToken"]}

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
        # The account's own is made by the first call that names none.
        options: dict[str, Any] = {} if not key or (new and key == ACCOUNTS_KEY) else {"KeyId": key}
        if new:
            options["Tags"] = ansible_dict_to_boto3_tag_list(dict(tags))
        answer = self._call(
            "put_parameter",
            f"write a parameter ({name})",
            Name=name,
            Value=value,
            Description=description,
            Type=kind,
            Overwrite=not new,
            **options,
        )
        self.done.append(f"wrote {name}")
        return int(answer["Version"])

    def tags(self, name: str) -> dict[str, str]:
        """Return a parameter's tags."""
        answer = self._call(
            "list_tags_for_resource",
            f"read a parameter's tags ({name})",
            ResourceType="Parameter",
            ResourceId=name,
        )
        return dict(boto3_tag_list_to_ansible_dict(answer["TagList"]))

    def change_tags(self, name: str, change: TagChange) -> None:
        """Give a parameter tags, and take those that are to go."""
        where = {"ResourceType": "Parameter", "ResourceId": name}
        if change.added:
            added = ansible_dict_to_boto3_tag_list(dict(change.added))
            self._call("add_tags_to_resource", f"tag a parameter ({name})", Tags=added, **where)
        if change.removed:
            removed = list(change.removed)
            self._call(
                "remove_tags_from_resource", f"remove a parameter's tags ({name})", TagKeys=removed, **where
            )
        self.done.append(f"tagged {name}")

    def delete(self, names: Collection[str]) -> None:
        """Remove parameters; those that are not there are no error."""
        ordered = sorted(names)
        for start in range(0, len(ordered), DELETED_AT_ONCE):
            some = ordered[start : start + DELETED_AT_ONCE]
            self._call("delete_parameters", f"remove parameters ({', '.join(some)})", Names=some)
            self.done += [f"removed {name}" for name in some]

    def _call(self, operation: str, doing: str, **arguments: Any) -> Any:
        call = _ErrorHandler.common_error_handler(doing)(getattr(self._client, operation))
        return call(**arguments, aws_retry=True)


def find_key(kms: Any, key: str) -> Mapping[str, Any] | None:
    """Return what KMS says of a key, by its id, ARN or alias; None without one. Raises ParameterError."""
    describe = _KeyErrorHandler.list_error_handler(f"find the key {key}", None)(kms.describe_key)
    found = describe(KeyId=key)
    return found["KeyMetadata"] if found else None


def is_same_key(kms: Any, one: str, other: str) -> bool:
    """Whether two names of a KMS key are of the same: an alias and an ARN may be. Raises ParameterError."""
    found = [find_key(kms, key) if key else None for key in (one, other)]
    return all(found) and len({key["Arn"] for key in found if key}) == 1


@dataclass(frozen=True)
class TagChange:
    """What is missing among a parameter's tags, and which of them are to go."""

    added: Mapping[str, str]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    @classmethod
    def between(cls, found: Mapping[str, str], wanted: Mapping[str, str], purge: bool) -> TagChange:
        """Compare tags. Those that AWS itself has set are nobody's to remove."""
        return cls(
            added={name: value for name, value in wanted.items() if found.get(name) != value},
            removed=tuple(
                sorted(name for name in found if name not in wanted and not name.startswith("aws:"))
            )
            if purge
            else (),
        )


@dataclass(frozen=True)
class Tagging:
    """The tags that a stack's parameters have.

    Attributes:
        wanted: the task's, and the stack's name.
        purge: remove all others.
    """

    wanted: Mapping[str, str]
    purge: bool

    @classmethod
    def of(cls, stack: str, tags: Mapping[str, Any] | None, purge: bool) -> Tagging:
        """Read a task's options. Tags that are not given are not touched. Raises OptionError."""
        return cls({**check_tags(tags or {}), NAME_TAG: stack}, purge and tags is not None)

    def changes(self, store: ParameterStore, names: Iterable[str]) -> dict[str, TagChange]:
        """Return which of these parameters have not the tags that they should, and what differs."""
        found = {name: TagChange.between(store.tags(name), self.wanted, self.purge) for name in names}
        return {name: change for name, change in found.items() if change}


def fail(module: AnsibleAWSModule, store: ParameterStore, error: AnsibleAWSError) -> None:
    """End a module with what has failed, and with what was done before that."""
    message = error.message
    if store.done:
        done = ", ".join(store.done)
        message = f"{message} (after this was done: {done}; run it again, and it goes on from there)"
    result = {"changed": bool(store.done), "done": store.done}
    if error.exception:
        module.fail_json_aws(error.exception, msg=message, **result)
    module.fail_json(msg=message, **result)
