"""Who may call the API: keys, roles' policies, and what is beyond the evaluator."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.authorization import Refusal, Signed, refuse_ssm, unknown_key
from localcloud.credentials import Holder, InstanceCredentials
from localcloud.policies import allows

ARN = "arn:aws:ssm:us-east-1:123456789012:parameter/ds-stack/demo"
MACHINE = {
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParameters*"],
            "Resource": f"{ARN}/machine/*",
        },
        {"Effect": "Allow", "Action": "ssm:PutParameter", "Resource": [f"{ARN}/machine/status"]},
    ]
}


def statement(effect: str, action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Statement": {"Effect": effect, "Action": action, "Resource": resource, **more}}


@pytest.mark.parametrize(
    ("documents", "allowed"),
    [
        ([], False),
        ([statement("Allow", "*", "*")], True),
        ([statement("Allow", "SSM:getparameter", f"{ARN}/a")], True),
        ([statement("Allow", "ssm:Get*", f"{ARN}/?")], True),
        ([statement("Allow", "ssm:GetParameter", f"{ARN}/A")], False),
        ([statement("Allow", "ssm:GetParameter", f"{ARN}")], False),
        ([statement("Allow", "ssm:PutParameter", "*")], False),
        ([statement("Allow", "*", "*"), statement("Deny", "ssm:*", f"{ARN}/*")], False),
        ([statement("Deny", "ssm:*", f"{ARN}/b"), statement("Allow", "*", "*")], True),
        ([statement("Allow", "*", "*", Condition={"Bool": {"aws:SecureTransport": "true"}})], False),
        ([statement("Allow", "*", "*"), statement("Deny", "*", "*", Condition={"Bool": {}})], False),
        ([{"Statement": [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}]}], False),
        ([statement("Allow", "*", "*"), {"Statement": [{"Effect": "Deny", "NotAction": "s3:*"}]}], False),
    ],
)
def test_policies_allow_only_what_they_say(documents: list[dict[str, Any]], allowed: bool) -> None:
    assert allows(documents, "ssm:GetParameter", f"{ARN}/a") is allowed


def test_a_dot_in_a_pattern_is_a_dot() -> None:
    assert not allows([statement("Allow", "ssm:GetParameter", "a.c")], "ssm:GetParameter", "abc")


@pytest.mark.parametrize(
    ("call", "body", "refused"),
    [
        ("GetParameter", {"Name": "/ds-stack/demo/machine/config"}, None),
        ("GetParameter", {"Name": "/ds-stack/demo/machine/config:3"}, None),
        ("GetParameter", {"Name": f"{ARN}/machine/config"}, None),
        ("GetParameters", {"Names": ["/ds-stack/demo/machine/config"]}, None),
        ("GetParametersByPath", {"Path": "/ds-stack/demo/machine/users"}, None),
        ("PutParameter", {"Name": "/ds-stack/demo/machine/status", "Value": "x"}, None),
        ("PutParameter", {"Name": "/ds-stack/demo/machine/config"}, f"{ARN}/machine/config"),
        ("GetParameter", {"Name": "/ds-stack/demo/operator/passwords/a"}, f"{ARN}/operator/passwords/a"),
        (
            "GetParameter",
            {"Name": "/ds-stack/other/machine/config"},
            "parameter/ds-stack/other/machine/config",
        ),
        (
            "GetParameters",
            {"Names": ["/ds-stack/demo/machine/config", "/ds-stack/demo/operator/x"]},
            f"{ARN}/operator/x",
        ),
        ("GetParametersByPath", {"Path": "/ds-stack/demo", "Recursive": True}, ARN),
        ("DescribeParameters", {}, "*"),
        ("GetParameter", {"Name": "plain"}, "parameter/plain"),
    ],
)
def test_an_instance_reads_its_own_path_only(call: str, body: dict[str, Any], refused: str | None) -> None:
    holder = Holder("123456789012", "demo")
    answer = refuse_ssm(holder, [MACHINE], f"AmazonSSM.{call}", body, "us-east-1")
    if refused is None:
        assert answer is None
    else:
        assert answer is not None
        assert answer.code == "AccessDeniedException"
        assert f"ssm:{call} on resource: " in answer.message
        assert refused in answer.message


def test_a_signature_names_key_region_and_service() -> None:
    header = (
        "AWS4-HMAC-SHA256 Credential=AKIAX/20261123/eu-west-1/ssm/aws4_request, SignedHeaders=a, Signature=b"
    )
    assert Signed.parse(header) == Signed("AKIAX", "eu-west-1", "ssm")


@pytest.mark.parametrize("header", [None, "", "Bearer x", "AWS AKIAX:signature"])
def test_what_is_no_signature_of_version_4(header: str | None) -> None:
    assert Signed.parse(header) is None


def test_an_unknown_key_is_refused_in_the_services_words() -> None:
    assert unknown_key("ec2") == Refusal(
        "AuthFailure", "AWS was not able to validate the provided access credentials", 401
    )
    assert unknown_key("sts").code == "InvalidClientTokenId"
    assert unknown_key("ssm").code == "UnrecognizedClientException"


def test_instance_credentials_stay_the_same_and_are_recognised() -> None:
    issuer, holder = InstanceCredentials(), Holder("123456789012", "demo")
    first = issuer.issue("i-1", holder)
    assert issuer.issue("i-1", holder) == first
    assert issuer.issue("i-2", holder).access_key_id != first.access_key_id
    assert first.access_key_id.startswith("ASIA")
    assert len(first.access_key_id) == 20
    assert issuer.holder(first.access_key_id) == holder
    assert issuer.holder("ASIAUNKNOWN") is None
    assert InstanceCredentials().issue("i-1", holder) != first
