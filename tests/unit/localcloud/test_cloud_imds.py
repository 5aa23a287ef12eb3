"""The metadata service: its tree and its tokens."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from localcloud.imds import Metadata, RoleCredentials, answer
from localcloud.imds_server import Tokens

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)
BARE = Metadata(
    instance_id="i-0123456789abcdef0",
    image_id="ami-0123456789abcdef0",
    instance_type="t3.small",
    region="us-east-1",
    availability_zone="us-east-1b",
    account_id="123456789012",
    hostname="ip-10-77-0-4.ec2.internal",
    private_address="10.77.0.4",
)
FULL = replace(
    BARE,
    public_address="100.64.113.10",
    public_hostname="ec2-100-64-113-10.compute-1.amazonaws.com",
    tags={"ds-stack:name": "demo", "Name": "a machine"},
    public_key=("mine", "ssh-ed25519 AAAA"),
    credentials=RoleCredentials("demo-role", "ASIAEXAMPLE", "secret", "token"),
    profile_arn="arn:aws:iam::123456789012:instance-profile/demo",
    user_data=b"\x00binary",
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/latest/meta-data/instance-id", "i-0123456789abcdef0"),
        ("/2021-03-23/meta-data/placement/region", "us-east-1"),
        ("/latest/meta-data/placement/availability-zone?x=1", "us-east-1b"),
        ("/latest/meta-data/public-ipv4", "100.64.113.10"),
        ("/latest/meta-data/public-keys/", "0=mine"),
        ("/latest/meta-data/public-keys/0/", "openssh-key"),
        ("/latest/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA"),
        ("/latest/meta-data/tags/instance", "ds-stack:name\nName"),
        ("/latest/meta-data/tags/instance/ds-stack:name", "demo"),
        ("/latest/meta-data/iam/security-credentials/", "demo-role"),
        ("/latest/meta-data/network/interfaces/macs/", "02:00:00:00:00:01/"),
        ("/latest/user-data", "\x00binary"),
        ("/latest/", "meta-data/\ndynamic/\nuser-data"),
        ("/", "2009-04-04\n2016-09-02\n2018-09-24\n2021-03-23\nlatest"),
    ],
)
def test_what_is_there(path: str, expected: str) -> None:
    assert answer(FULL, path, NOW) == expected.encode()


@pytest.mark.parametrize(
    "path",
    [
        "/latest/meta-data/public-ipv4",
        "/latest/meta-data/public-keys/",
        "/latest/meta-data/tags/instance/Name",
        "/latest/meta-data/iam/",
        "/latest/user-data",
        "/latest/meta-data/instance-id/deeper",
        "/1999-01-01/meta-data/instance-id",
        "/etc/passwd",
    ],
)
def test_what_is_not_there(path: str) -> None:
    assert answer(BARE, path, NOW) is None


def test_credentials_last_six_hours() -> None:
    text = answer(FULL, "/latest/meta-data/iam/security-credentials/demo-role", NOW)
    assert text is not None
    credentials = json.loads(text)
    assert (credentials["AccessKeyId"], credentials["Token"]) == ("ASIAEXAMPLE", "token")
    assert credentials["Expiration"] == "2026-11-23T18:00:00Z"


def test_the_identity_document_names_the_machine() -> None:
    text = answer(FULL, "/latest/dynamic/instance-identity/document", NOW)
    assert text is not None
    assert json.loads(text)["instanceId"] == FULL.instance_id


@pytest.mark.parametrize("ttl", [None, "", "0", "21601", "-5", "soon"])
def test_no_token_without_a_sensible_life(ttl: str | None) -> None:
    assert Tokens().make(ttl) is None


def test_a_token_is_valid_until_it_expires() -> None:
    now = 100.0
    tokens = Tokens(lambda: now)
    token = tokens.make("60")
    assert tokens.valid(token)
    assert not tokens.valid("another")
    assert not tokens.valid(None)
    now = 160.0
    assert not tokens.valid(token)
