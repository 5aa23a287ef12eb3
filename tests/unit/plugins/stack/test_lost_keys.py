"""Keys of passwords that a run has made and not named, as an account has them."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import inventory as kinds
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import inventory_account as aws
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

REGION = "eu-central-1"


@cache
def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")


def make_key(part: str = "operator", alias: str = "") -> str:
    tags = [{"TagKey": "ds-stack:part", "TagValue": part}]
    key = str(client("kms").create_key(Tags=tags)["KeyMetadata"]["KeyId"])
    if alias:
        client("kms").create_alias(AliasName=alias, TargetKeyId=key)
    return key


@mock_aws
def test_a_key_without_an_alias_is_found() -> None:
    lost = make_key()
    make_key(alias="alias/ds-stack-operator")
    make_key(alias="alias/of-somebody")
    make_key(part="of somebody else")
    going = make_key()
    client("kms").schedule_key_deletion(KeyId=going)
    found, not_asked = aws.ask(client, "demo", REGION)
    assert [one.id for one in found if one.kind == kinds.LOST_KEY] == [lost]
    assert kinds.LOST_KEY not in not_asked


@mock_aws
def test_who_may_not_ask_gets_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    key, asked = make_key(alias="alias/ds-stack-operator"), BaseClient._make_api_call

    def call(one: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if operation == "GetResources":
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)
        return asked(one, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    found, not_asked = aws.ask(client, "demo", REGION)
    assert [one.id for one in found if one.kind == kinds.KEY] == [key]
    assert kinds.LOST_KEY in not_asked
    assert kinds.KEY not in not_asked
