"""Bad input, each with one clear error before anything is made: the playbooks on a simulated AWS account.

What is wrong with an account is tested rule by rule in tests/unit; here it is what a user types and sees.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
import yaml
from moto import settings
from moto.core.responses import ActionAuthenticatorMixin

from localcloud import provider
from tests.which_ansible import PLAYBOOK

REPOSITORY = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
#: The one image of moto's that Canonical made. Its root disk has 15 GiB.
BASE_IMAGE = {"owner": "099720109477", "name": "ubuntu/images/hvm-ssd/ubuntu-trusty-14.04-amd64-server-*"}
CHECKS_OF_ACCOUNT = "TASK [iac.ds_stack.preflight : Look at the tools and the account]"


@cache
def make_client(service: str, url: str) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@dataclass(frozen=True)
class Account:
    """The simulated account."""

    url: str

    def client(self, service: str) -> Any:
        return make_client(service, self.url)

    def owned(self) -> dict[str, list[str]]:
        """The ids of all in the account that a stage could have made."""
        ec2, iam, ssm = (self.client(service) for service in ("ec2", "iam", "ssm"))
        machines = [
            machine
            for reservation in ec2.describe_instances()["Reservations"]
            for machine in reservation["Instances"]
        ]
        return {
            "instances": [one["InstanceId"] for one in machines],
            "images": [one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]],
            "key pairs": [one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]],
            "security groups": [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]],
            "volumes": [one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]],
            "VPCs": [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]],
            "roles": [one["RoleName"] for one in iam.list_roles()["Roles"]],
            "parameters": [one["Name"] for one in ssm.describe_parameters()["Parameters"]],
        }

    @contextmanager
    def enforcing_rights(self) -> Iterator[None]:
        """Let moto look at credentials and policies."""
        before = settings.INITIAL_NO_AUTH_ACTION_COUNT
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        ActionAuthenticatorMixin.request_count = 0
        try:
            yield
        finally:
            settings.INITIAL_NO_AUTH_ACTION_COUNT = before


@dataclass(frozen=True)
class Played:
    """How a playbook ended."""

    code: int
    text: str

    @property
    def problems(self) -> list[str]:
        """The points of the error, as it is shown once at the top."""
        error = re.search(r"^\[ERROR\]: .*\n((?:  .*\n)+)", self.text, re.MULTILINE)
        assert error, self.text
        return error[1].replace("  - ", "", 1).rstrip("\n").split("\n  - ")


@dataclass(frozen=True)
class User:
    """Somebody with a configuration and an environment, in a folder of their own."""

    folder: Path
    account: Account
    environment: dict[str, str]
    variables: dict[str, Any] = field(default_factory=dict)

    def with_environment(self, **values: str) -> User:
        return replace(self, environment={**self.environment, **values})

    def without_credentials(self) -> User:
        gone = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        kept = {name: value for name, value in self.environment.items() if name not in gone}
        return replace(self, environment=kept)

    def play(self, playbook: str = "iac.ds_stack.site", *options: str, **variables: Any) -> Played:
        """Run a playbook."""
        given = {**self.variables, **{f"ds_stack_{name}": value for name, value in variables.items()}}
        played = subprocess.run(
            [PLAYBOOK, playbook, "-e", json.dumps(given), *options],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        return Played(played.returncode, played.stdout + played.stderr)

    def refused(self, playbook: str = "iac.ds_stack.site", **variables: Any) -> list[str]:
        """Run a playbook that must be refused with nothing made; the points of the error."""
        before = self.account.owned()
        played = self.play(playbook, **variables)
        assert played.code == 2, played.text
        assert "changed=0 " in played.text
        assert self.account.owned() == before
        assert not (self.folder / ".ds_stack/demo/packer").exists()
        return played.problems


@pytest.fixture(scope="module")
def account(endpoint: str) -> Account:
    return Account(endpoint)


@pytest.fixture
def user(account: Account, tmp_path: Path) -> User:
    """A user whose tools, account and configuration are fit."""
    mirrors = tmp_path / "terraform.rc"
    mirrors.write_text(provider.configuration(provider.find()))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    environment = kept | {
        "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL": account.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PWD": str(tmp_path),
        "TF_CLI_CONFIG_FILE": str(mirrors),
    }
    variables = {
        "ds_stack_name": "demo",
        "ds_stack_region": REGION,
        "ds_stack_base_image": BASE_IMAGE,
        # Takes any Packer, as the one of Debian.
        "ds_stack_packer_overlay": str(REPOSITORY / "localcloud/packer"),
    }
    return User(tmp_path, account, environment, variables)


@pytest.fixture(scope="module")
def other_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the system's programs but those that a stack needs."""
    folder = tmp_path_factory.mktemp("programs")
    for program in Path("/usr/bin").iterdir():
        if program.name not in ("packer", "terraform", "tofu"):
            (folder / program.name).symlink_to(program)
    return folder


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the programs that a stack needs; the tests put others in their place."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("terraform", "packer"):
        found = shutil.which(name)
        assert found, f"{name} is needed for this test"
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def user_of_tools(user: User, tools: Path, other_programs: Path) -> User:
    return user.with_environment(PATH=f"{tools}:{other_programs}")


def stub(path: Path, text: str) -> None:
    """A program that only tells its version."""
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param(
            {"componets": ["jupyterhub"]},
            "ds_stack_componets is no variable of this collection. Did you mean ds_stack_components?",
            id="unknown name",
        ),
        pytest.param(
            {"components": ["jupyter"]},
            "ds_stack_components: 'jupyter' is not possible. Take jupyterhub or rstudio.",
            id="unknown component",
        ),
        pytest.param(
            {"data_volume_size": "much"},
            "ds_stack_data_volume_size: 'much' is no whole number. Write it in digits alone.",
            id="wrong type",
        ),
        pytest.param(
            {"allowed_cidrs": ["10.0.0/24"]}, "'10.0.0/24' is no IPv4 network", id="CIDR that is none"
        ),
        pytest.param(
            {"allowed_cidrs": ["0.0.0.0/0"]},
            "opens the machine to the whole internet. Name your own networks, or set ds_stack_allow_world",
            id="world without its second switch",
        ),
        pytest.param(
            {"allowed_cidrs": ["0.0.0.0/1", "128.0.0.0/1"]},
            "opens the machine to the whole internet",
            id="world in two halves",
        ),
        pytest.param({"allowed_cidrs": ["::/0"]}, "'::/0' is an IPv6 network", id="world of IPv6"),
        pytest.param(
            {"region": "us-east-11"},
            "AWS has no region us-east-11. Did you mean us-east-1",
            id="unknown region",
        ),
        pytest.param(
            {"instance_type": "t9.huge"},
            "ds_stack_instance_type: t9.huge is not offered in us-east-1.",
            id="type not offered",
        ),
        pytest.param(
            {"availability_zone": "us-east-1e"},
            "t3.large is not offered in us-east-1e. Set ds_stack_availability_zone to one of",
            id="type not offered in the zone",
        ),
        pytest.param(
            {"root_volume_size": 8},
            "8 GiB is smaller than the image "
            "ubuntu/images/hvm-ssd/ubuntu-trusty-14.04-amd64-server-20170727. "
            "Take 15 or more.",
            id="disk smaller than the image",
        ),
        pytest.param(
            {"base_image": {**BASE_IMAGE, "name": "no-such-image-*"}},
            "No image 'no-such-image-*' of account 099720109477 is available in us-east-1.",
            id="no base image",
        ),
        pytest.param(
            {"bake_subnet_id": "subnet-00000000"},
            "there is no subnet subnet-00000000 in us-east-1",
            id="no subnet for the bake",
        ),
    ],
)
def test_bad_configuration_is_told_before_anything_is_made(
    user: User, variables: dict[str, Any], said: str
) -> None:
    (problem,) = user.refused(**variables)
    assert said in problem
    assert not (user.folder / "ds_stack.lock.yml").exists()


ODD = """
ds_stack_name: demo
ds_stack_region: us-east-1
ds_stack_timezone: no
ds_stack_locale: "{{ 'de_DE' | nofilter }}"
ds_stack_tls: "{{ my_tls }}"
ds_stack_availability_zone: eu-central-1a
ds_stack_instance_type: t2.large
ds_stack_subnet_id:
ds_stack_users:
  - name: admin
  - name: ada
    ssh_keys: ["/home/ada/.ssh/id_ed25519.pub"]
ds_stack_tags: {cost-centre: 0715}
ds_stack_image_variables: {r_snapshot_date: 2026-11-01}
ds_stack_dir: "{{ lookup('ansible.builtin.env', 'PWD') }}/ds_stack.lock.yml/stack"
ds_stack_packer_overlay: ~/overlay
"""


def test_all_that_is_odd_is_told_before_anybody_is_asked(user: User) -> None:
    """As people write it, with YAML's own readings, and with nobody to ask: no credentials and no AWS."""
    (user.folder / "odd.yml").write_text(ODD)
    (user.folder / "ds_stack.lock.yml").write_text("schema: 1\n")
    (user.folder / "site.yml").write_text("- ansible.builtin.import_playbook: iac.ds_stack.site\n")
    nobody = replace(
        user.without_credentials().with_environment(AWS_ENDPOINT_URL="http://127.0.0.1:9", HOME="/home/ada"),
        variables={},
    )
    played = nobody.play("site.yml", "-e", "@odd.yml", "-e", "ds_stack_static_ip=perhaps")
    assert played.code == 2, played.text
    assert CHECKS_OF_ACCOUNT not in played.text
    assert played.problems == [
        "ds_stack_locale cannot be worked out: Syntax error in template: No filter named 'nofilter'.",
        "ds_stack_tls cannot be worked out: 'my_tls' is undefined.",
        "ds_stack_static_ip: 'perhaps' is neither true nor false. Write one of them.",
        "ds_stack_subnet_id has no value. Give it one, or leave it out.",
        "ds_stack_timezone: false is no text (YAML reads no, off and false so). Put it in quotes.",
        "ds_stack_availability_zone: eu-central-1a is in eu-central-1, and ds_stack_region is us-east-1. "
        "Take a zone of that region.",
        "ds_stack_users: 'admin' is an account or group of the machine's own system. Give that user "
        "another name.",
        "ds_stack_users: SSH key 1 of 'ada': this is a path. Write what is in the file, for example with "
        "\"{{ lookup('ansible.builtin.file', '/home/ada/.ssh/id_ed25519.pub') }}\".",
        "ds_stack_instance_type: t2.large is not of the Nitro system, where the machine finds its data "
        "volume by its id. Take a newer type, such as t3.large or m5.large.",
        "ds_stack_tags: the value of 'cost-centre' is no text. Put it in quotes, as in cost-centre: "
        '"4711".',
        f"ds_stack_dir: {user.folder}/ds_stack.lock.yml is no folder. Name another path.",
        "ds_stack_packer_overlay: '~/overlay' is not a whole path. Write it from / on, such as "
        "/home/ada/overlay.",
        "ds_stack_image_variables.r_snapshot_date: 2026-11-01 is a date and has to be a text. Put it in "
        "quotes.",
    ]
    assert not (user.folder / ".ds_stack").exists()


def test_a_base_image_that_is_gone_is_told_with_how_to_pin_another(user: User) -> None:
    lock = user.folder / "ds_stack.lock.yml"
    gone = {
        "image_id": "ami-00000000",
        "name": "ubuntu-of-last-year",
        "os": "ubuntu-24.04",
        "owner": BASE_IMAGE["owner"],
        "region": REGION,
    }
    lock.write_text(yaml.safe_dump({"schema": 1, "base_image": gone}))
    (problem,) = user.refused()
    assert problem == (
        f"The base image ami-00000000 is gone from us-east-1; {lock} pins it. To bake from the newest "
        f"""'{BASE_IMAGE["name"]}': -e '{{"ds_stack_relock": ["base"]}}'"""
    )


def test_no_credentials(user: User) -> None:
    (problem,) = user.without_credentials().refused()
    assert problem.startswith("There are no AWS credentials. Run `aws configure`")


def test_credentials_that_aws_does_not_know(user: User, account: Account) -> None:
    before = account.owned()
    with account.enforcing_rights():
        played = user.play()
    assert played.code == 2
    (problem,) = played.problems
    assert problem.startswith("AWS does not accept the credentials (InvalidClientTokenId: ")
    assert account.owned() == before


class Expired(BaseHTTPRequestHandler):
    """Answers everything as AWS does when the session token has expired."""

    def do_POST(self) -> None:
        """Refuse."""
        self.rfile.read(int(self.headers["Content-Length"]))
        text = (
            b"<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code>"
            b"<Message>The security token is expired</Message></Error></ErrorResponse>"
        )
        self.send_response(403)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_expired_credentials(user: User) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Expired)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        expired = user.with_environment(
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}", AWS_SESSION_TOKEN="old"
        )
        (problem,) = expired.refused()
    finally:
        server.shutdown()
        server.server_close()
    assert problem == "The AWS credentials have expired. Get new ones, for example with `aws sso login`."


def test_rights_that_are_lacking(user: User, account: Account) -> None:
    """A user who may look at everything and start nothing."""
    before = account.owned()
    iam = account.client("iam")
    iam.create_user(UserName="reader")
    allow = {"Effect": "Allow", "Action": ["ec2:Describe*", "servicequotas:*", "sts:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="reader", PolicyName="look", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    reader = user.with_environment(
        AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"]
    )
    with account.enforcing_rights():
        played = reader.play()
    assert played.code == 2
    record, *others = played.problems
    # moto refuses it in another form than AWS, whose code tests/integration/test_stack_record.py gives.
    assert record.startswith("The record of demo cannot be kept. ")
    assert "is not authorized to perform: ssm:GetParameter" in record
    calls = ("RunInstances", "CreateImage", "CreateKeyPair", "CreateSecurityGroup", "CreateVolume")
    assert [problem.partition(" in us-east-1.")[0] for problem in others] == [
        f"These credentials may not call {call}" for call in calls
    ]
    assert account.owned() == before


@pytest.mark.parametrize("name", ["packer", "terraform"])
def test_a_tool_that_is_missing(user_of_tools: User, tools: Path, name: str) -> None:
    (tools / name).unlink()
    (problem,) = user_of_tools.refused()
    assert problem.startswith("There is no ")
    assert name in problem.lower()


@pytest.mark.parametrize(
    ("name", "version", "needed"),
    [("packer", "Packer v1.10.3", ">= 1.11.0"), ("terraform", "Terraform v1.9.8", ">= 1.10")],
)
def test_a_tool_that_is_too_old(
    user_of_tools: User, tools: Path, name: str, version: str, needed: str
) -> None:
    stub(tools / "packer", "Packer v1.14.2")
    stub(tools / name, version)
    product = dict(user_of_tools.variables)
    del product["ds_stack_packer_overlay"]
    (problem,) = replace(user_of_tools, variables=product).refused()
    number = version.partition("v")[2]
    assert problem.startswith(f"{tools / name} has version {number}, and {needed} is needed.")


def test_no_provider_to_be_had(user: User, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    mirrors = tmp_path / "terraform.rc"
    mirrors.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{tmp_path}/empty"\n  }}\n}}\n'
    )
    for _ in range(2):  # a first try must not hide it from the next
        problems = user.refused()
        assert problems[0].startswith("Terraform cannot be set up.")
        assert "hashicorp/aws" in problems[0]


def test_all_that_is_wrong_is_told_in_one_message(user_of_tools: User, tools: Path) -> None:
    (tools / "packer").unlink()
    stub(tools / "terraform", "Terraform v1.5.7")
    problems = user_of_tools.refused(
        instance_type="t9.huge", root_volume_size=8, bake_subnet_id="subnet-00000000"
    )
    assert len(problems) == 5


PLAY = """
- name: A play of one's own
  hosts: localhost
  connection: local
  gather_facts: false
  roles:
    - iac.ds_stack.preflight

- name: Another play of the same run
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Check again what was checked
      ansible.builtin.include_role:
        name: iac.ds_stack.preflight
      vars:
        preflight_stages: [network, instance]
"""


@pytest.mark.parametrize("check", [False, True])
def test_the_role_alone_checks_once_in_a_run_and_makes_nothing(user: User, check: bool) -> None:
    before = user.account.owned()
    play = user.folder / "play.yml"
    play.write_text(PLAY)
    played = user.play(str(play), *(["--check"] if check else []))
    assert played.code == 0, played.text
    assert "changed=0 " in played.text
    first, _again = played.text.split(CHECKS_OF_ACCOUNT)[1:]
    assert "ok: [localhost]" in first
    assert _again.lstrip("* \n").startswith("skipping: [localhost]")
    assert user.account.owned() == before
    # Terraform's providers were fetched to where they are needed, but not in check mode.
    assert (user.folder / ".ds_stack/demo/terraform/network/.terraform").exists() is not check
