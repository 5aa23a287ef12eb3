"""Who may call the API: keys, roles' policies, and what is beyond the evaluator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from localcloud.authorization import Refusal, Secret, Signed, refuse_ssm, unknown_key, versions_asked
from localcloud.credentials import Holder, InstanceCredentials
from localcloud.policies import allows, decide

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


ALL = statement("Allow", "*", "*")


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
        ([{"Statement": {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}}], True),
        ([{"Statement": {"Effect": "Allow", "NotAction": "ssm:Get*", "Resource": "*"}}], False),
        ([ALL, {"Statement": {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}}], False),
        ([ALL, {"Statement": {"Effect": "Deny", "NotAction": ["SSM:get*"], "Resource": "*"}}], True),
        ([ALL, {"Statement": {"Effect": "Deny", "Action": "ssm:*", "NotResource": f"{ARN}/a"}}], True),
        ([ALL, {"Statement": {"Effect": "Deny", "Action": "ssm:*", "NotResource": [f"{ARN}/a/*"]}}], False),
        ([{"Statement": {"Effect": "Allow", "Action": "ssm:*", "NotResource": f"{ARN}/b"}}], True),
        ([ALL, statement("Deny", "*", "*", Principal="*")], False),
    ],
)
def test_policies_allow_only_what_they_say(documents: list[dict[str, Any]], allowed: bool) -> None:
    assert allows(documents, "ssm:GetParameter", f"{ARN}/a") is allowed


@pytest.mark.parametrize(
    ("test", "wanted", "context", "met"),
    [
        ("StringLike", f"{ARN}/*", {"x": f"{ARN}/a"}, True),
        ("StringLike", ["nothing", f"{ARN}/?"], {"x": f"{ARN}/a"}, True),
        ("StringLike", f"{ARN}/*", {"x": f"{ARN}"}, False),
        ("StringLike", f"{ARN}/*", {"y": f"{ARN}/a"}, False),
        ("StringEquals", f"{ARN}/*", {"x": f"{ARN}/a"}, False),
        ("StringEquals", [f"{ARN}/a"], {"x": f"{ARN}/a"}, True),
    ],
)
def test_conditions_on_what_a_call_says(test: str, wanted: Any, context: dict[str, str], met: bool) -> None:
    under = {"Condition": {test: {"x": wanted}}}
    allowing = [statement("Allow", "*", "*", **under)]
    denying = [ALL, statement("Deny", "*", "*", **under)]
    assert decide(allowing, "kms:Decrypt", "key", context) is (True if met else None)
    assert decide(denying, "kms:Decrypt", "key", context) is (not met)


@dataclass
class Version:
    version: int
    labels: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("call", "body", "shown"),
    [
        ("GetParameter", {"Name": "/s/o/a"}, [2]),
        ("GetParameter", {"Name": "/s/o/a:1"}, [1]),
        ("GetParameter", {"Name": "/s/o/a:old"}, [1]),
        ("GetParameters", {"Names": ["/s/o/a:2", "arn:aws:ssm:us-east-1:1:parameter/s/b", "/none"]}, [2, 3]),
        ("GetParameterHistory", {"Name": "/s/o/a"}, [1, 2]),
        ("GetParametersByPath", {"Path": "/s/o"}, [2]),
        ("GetParametersByPath", {"Path": "/s/"}, [2, 3]),
        ("GetParametersByPath", {"Path": "/"}, [2, 3]),
        ("GetParametersByPath", {"Path": "/s/o/a"}, []),
    ],
)
def test_which_versions_a_call_shows(call: str, body: dict[str, Any], shown: list[int]) -> None:
    there = {"/s/o/a": [Version(1, ("old",)), Version(2)], "/s/b": [Version(3)]}
    assert [one.version for one in versions_asked(f"AmazonSSM.{call}", body, there)] == shown


KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
ANYTHING = statement("Allow", "ssm:*", "*")
NOT_THESE = {"Condition": {"StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{ARN}/operator/*"}}}


@pytest.mark.parametrize(
    ("more", "secret", "refused"),
    [
        ([], Secret(f"{ARN}/operator/a", KEY, is_default=True), False),
        ([], Secret(f"{ARN}/operator/a", KEY, is_default=False), True),
        ([statement("Allow", "kms:Decrypt", KEY)], Secret(f"{ARN}/operator/a", KEY, is_default=False), False),
        ([statement("Deny", "kms:*", "*", **NOT_THESE)], Secret(f"{ARN}/operator/a", KEY, True), True),
        ([statement("Deny", "kms:*", "*", **NOT_THESE)], Secret(f"{ARN}/machine/a", KEY, True), False),
        ([ALL, statement("Deny", "kms:*", "*", **NOT_THESE)], Secret(f"{ARN}/operator/a", KEY, False), True),
    ],
)
def test_who_decrypts(more: list[dict[str, Any]], secret: Secret, refused: bool) -> None:
    holder, body = Holder("123456789012", "demo"), {"Path": "/", "WithDecryption": True}
    call = "AmazonSSM.GetParametersByPath"
    answer = refuse_ssm(holder, [ANYTHING, *more], call, body, "us-east-1", secrets=[secret])
    assert (answer is not None) is refused


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
