"""What a call of Systems Manager would decrypt, of what moto's account has."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from moto import mock_aws

from localcloud.server import secrets_of

REGION = "eu-central-1"
ARN = f"arn:aws:ssm:{REGION}:123456789012:parameter"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A key with the alias alias/mine, under which lies one of three parameters."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = {
            service: boto3.client(
                service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y"
            )
            for service in ("kms", "ssm")
        }
        arn = made["kms"].create_key()["KeyMetadata"]["Arn"]
        made["kms"].create_alias(AliasName="alias/mine", TargetKeyId=arn)
        put = made["ssm"].put_parameter
        put(Name="/s/operator/ada", Value="x", Type="SecureString")
        put(Name="/s/operator/ada", Value="x", Type="SecureString", KeyId="alias/mine", Overwrite=True)
        put(Name="/s/machine/ada", Value="x", Type="SecureString")
        put(Name="/s/machine/config", Value="x", Type="String")
        yield arn


@pytest.mark.parametrize(
    ("call", "body", "found"),
    [
        ("GetParameter", {"Name": "/s/operator/ada"}, [("operator/ada", False)]),
        ("GetParameter", {"Name": "/s/operator/ada:1"}, [("operator/ada", True)]),
        (
            "GetParameterHistory",
            {"Name": "/s/operator/ada"},
            [("operator/ada", True), ("operator/ada", False)],
        ),
        ("GetParametersByPath", {"Path": "/s"}, [("operator/ada", False), ("machine/ada", True)]),
        ("GetParameter", {"Name": "/s/machine/config"}, []),
        ("GetParameter", {"Name": "/nothing"}, []),
    ],
)
def test_what_would_be_decrypted(
    key: str, call: str, body: dict[str, Any], found: list[tuple[str, bool]]
) -> None:
    secrets = list(secrets_of(f"AmazonSSM.{call}", body, REGION))
    expected = [(f"{ARN}/s/{name}", own) for name, own in found]
    assert [(one.parameter, one.is_default) for one in secrets] == expected
    assert all((one.key == key) is not one.is_default for one in secrets)
