"""Module packer_image with the real Packer against a simulated EC2.

The builds use the amazon-ebs builder without a communicator, so that an "image" takes a second; what the
provisioners do, they do on this machine. Bakes of real machines are the e2e tests' part.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils import _fingerprint as fp
from ansible_collections.iac.ds_stack.plugins.module_utils._packer_images import leftovers
from moto.server import ThreadedMotoServer

REPOSITORY = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
SECRET = 'Geheim,"1\n2-really'

VARIABLES = """
variable "image_name" { type = string }
variable "region" { type = string }
variable "base_image_id" { type = string }
variable "tags" { type = map(string) }
variable "run_tags" { type = map(string) }
variable "manifest_path" { type = string }
variable "provisioner_variables_file" { type = string }
variable "ansible_playbook" { type = string }
variable "collections_path" { type = string }
variable "script" {
  type    = string
  default = "echo working"
}
variable "licence" {
  type      = string
  default   = ""
  sensitive = true
}
variable "numbers" {
  type    = map(list(number))
  default = {}
}
variable "endpoint" {
  type    = string
  default = env("AWS_ENDPOINT_URL")
}
"""

SOURCE = """
source "amazon-ebs" "tiny" {
  ami_name                = var.image_name
  region                  = var.region
  source_ami              = var.base_image_id
  instance_type           = "t3.micro"
  communicator            = "none"
  custom_endpoint_ec2     = var.endpoint
  skip_metadata_api_check = true
  skip_region_validation  = true
  tags                    = var.tags
  snapshot_tags           = var.tags
  run_tags                = var.run_tags
  aws_polling {
    delay_seconds = 1
    max_attempts  = 60
  }
}
"""

BUILD = """
build {
  sources = ["source.amazon-ebs.tiny"]
  provisioner "shell-local" {
    environment_vars = [
      "PLAYBOOK=${var.ansible_playbook}",
      "COLLECTIONS=${var.collections_path}",
      "PROVISIONER_VARIABLES=${var.provisioner_variables_file}",
      "NUMBERS=${jsonencode(var.numbers)}",
    ]
    # Not among environment_vars: Packer puts those on the command line.
    inline = ["LICENCE='${var.licence}'", var.script]
  }
  post-processor "manifest" { output = var.manifest_path }
}
"""

RUN_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import packer_image
with patch_module_args(json.load(sys.stdin)):
    packer_image.main()
"""


@pytest.fixture(scope="module", autouse=True)
def _packer() -> None:
    if shutil.which("packer") is None:
        pytest.skip("packer is not installed")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Address of a simulated AWS API."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    _host, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="module")
def ec2(endpoint: str) -> Any:
    """A client of it."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "testtest"}
    return boto3.client("ec2", region_name=REGION, endpoint_url=endpoint, **keys)


@pytest.fixture(scope="module")
def base_image_id(ec2: Any) -> str:
    """An image to bake from."""
    return min(image["ImageId"] for image in ec2.describe_images(Owners=["amazon"])["Images"])


@dataclass
class Baker:
    """A template with its folder, and the module to bake it."""

    folder: Path
    environment: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def template(self) -> Path:
        return self.folder / "template"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def command(self, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN_MODULE],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({**self.options, **options}))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, **options: Any) -> dict[str, Any]:
        output, errors = self.command(**options).communicate(timeout=120)
        assert output, errors
        return json.loads(output)

    def bake(self, **options: Any) -> dict[str, Any]:
        result = self.run(**options)
        assert not result.get("failed"), result
        return result

    def fail(self, **options: Any) -> dict[str, Any]:
        result = self.run(**options)
        assert result.get("failed"), result
        return result


@pytest.fixture
def baker(tmp_path: Path, endpoint: str, base_image_id: str) -> Baker:
    """A template that bakes in a second, in a folder of its own, and a stack of its own."""
    template = tmp_path / "template"
    template.mkdir()
    (template / "variables.pkr.hcl").write_text(VARIABLES)
    (template / "source.pkr.hcl").write_text(SOURCE)
    (template / "build.pkr.hcl").write_text(BUILD)
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "PKR_", "PACKER_"))
        },
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "testtest",
        "PYTHONPATH": str(REPOSITORY / ".cache/collections"),
    }
    options = {
        "template": str(template),
        "work_dir": str(tmp_path / "work"),
        "name": "tiny",
        "region": REGION,
        "base_image_id": base_image_id,
        "tags": {"ds-stack:name": tmp_path.name},
    }
    return Baker(tmp_path, environment, options)


def image_tags(ec2: Any, ami_id: str) -> dict[str, str]:
    (image,) = ec2.describe_images(ImageIds=[ami_id])["Images"]
    return {tag["Key"]: tag["Value"] for tag in image["Tags"]}


def everything_below(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def test_baked_once_for_the_same_content(baker: Baker, ec2: Any, base_image_id: str) -> None:
    baked = baker.bake()
    assert (baked["changed"], baked["reused"]) == (True, False)
    assert baked["reasons"] == ["no image with this content"]
    assert baked["ami_id"].startswith("ami-")
    assert [name[:5] for name in baked["snapshot_ids"]] == ["snap-"]
    tags = image_tags(ec2, baked["ami_id"])
    assert tags["ds-stack:fingerprint"] == baked["fingerprint"]
    assert tags["ds-stack:base-image"] == base_image_id
    assert tags["ds-stack:name"] == baker.folder.name
    assert tags["Name"] == baked["image_name"]
    assert "Creating AMI tiny-" in Path(baked["log_path"]).read_text()

    again = baker.bake()
    assert (again["changed"], again["reused"], again["reasons"]) == (False, True, [])
    assert [again[key] for key in ("ami_id", "image_name", "snapshot_ids", "fingerprint")] == [
        baked[key] for key in ("ami_id", "image_name", "snapshot_ids", "fingerprint")
    ]

    forced = baker.bake(force=True)
    assert (forced["changed"], forced["reasons"]) == (True, ["force"])
    assert forced["fingerprint"] == baked["fingerprint"]
    assert forced["ami_id"] != baked["ami_id"]
    assert baker.bake()["ami_id"] == forced["ami_id"], "the newest of equal ones"


def test_check_mode_makes_nothing(baker: Baker, ec2: Any) -> None:
    before = ec2.describe_images(Owners=["self"])["Images"]
    result = baker.bake(_ansible_check_mode=True, _ansible_diff=True)
    assert result["changed"] is True
    assert "ami_id" not in result
    assert result["fingerprint"] in result["diff"]["after"]
    assert not baker.work.exists()
    assert ec2.describe_images(Owners=["self"])["Images"] == before
    baked = baker.bake()
    checked = baker.bake(_ansible_check_mode=True)
    assert (checked["changed"], checked["ami_id"]) == (False, baked["ami_id"])


def test_what_changed_is_named(baker: Baker) -> None:
    (baker.folder / "roles").mkdir()
    (baker.folder / "roles" / "main.yml").write_text("one\n")
    options: dict[str, Any] = {
        "variables": {"script": "true", "numbers": {"a": [1]}},
        "provisioner_variables": {"r_version": "4.5.1"},
        "fingerprint_paths": ["roles"],
        "fingerprint_exclude": ["numbers"],
    }
    first = baker.bake(**options)
    options["variables"] = {"script": "true", "numbers": {"a": [2]}}
    assert baker.bake(**options)["ami_id"] == first["ami_id"], "a variable that does not shape the image"
    (baker.folder / "roles" / "main.yml").write_text("two\n")
    options["provisioner_variables"] = {"r_version": "4.5.2"}
    second = baker.bake(**options, _ansible_check_mode=True)
    assert second["reasons"] == ["files.roles", "provisioner_variables.r_version"]


def test_an_image_that_is_gone_is_baked_anew(baker: Baker, ec2: Any) -> None:
    first = baker.bake()
    ec2.deregister_image(ImageId=first["ami_id"])
    second = baker.bake()
    assert second["reasons"] == [f"the image {first['ami_id']} is gone"]


def test_another_stack_does_not_share_the_image(baker: Baker) -> None:
    first = baker.bake()
    other = baker.bake(tags={"ds-stack:name": f"not-{baker.folder.name}"})
    assert other["fingerprint"] == first["fingerprint"]
    assert other["ami_id"] != first["ami_id"]


def test_a_failing_provisioner(baker: Baker, ec2: Any) -> None:
    result = baker.fail(variables={"script": "echo about to fail; echo oh no >&2; exit 3"})
    assert "Script exited with non-zero exit status: 3" in result["msg"]
    assert {"  about to fail", "  oh no"} <= set(result["error"].splitlines())
    assert result["left"] == []
    assert "It left no instance, key pair, security group or volume" in result["msg"]
    assert result["log_path"] in result["msg"]
    assert "Terminating the source AWS instance" in Path(result["log_path"]).read_text()
    filters = [{"Name": "tag:ds-stack:name", "Values": [baker.folder.name]}]
    assert ec2.describe_images(Owners=["self"], Filters=filters)["Images"] == []
    assert baker.bake(variables={"script": "true"})["changed"] is True, "a failed bake is no image"


def test_one_of_two_builds_fails(baker: Baker) -> None:
    (baker.template / "build.pkr.hcl").write_text(
        """
        source "null" "other" { communicator = "none" }
        build {
          sources = ["source.amazon-ebs.tiny", "source.null.other"]
          provisioner "shell-local" {
            only   = ["null.other"]
            inline = ["echo the other fails; exit 4"]
          }
          post-processor "manifest" { output = var.manifest_path }
        }
        """
    )
    result = baker.fail()
    assert result["error"].startswith("null.other: Script exited with non-zero exit status: 4")
    assert "the other fails" in result["error"]


def test_secrets_are_nowhere(baker: Baker) -> None:
    seen = baker.folder / "seen"
    script = (
        f'ps -eo args > {seen}; ls -l {baker.work}/*.pkrvars.json >> {seen}; echo "licence: $LICENCE"; '
        'test "$LICENCE" || exit 7; exit 3'
    )
    result = baker.fail(
        variables={"script": script}, sensitive_variables={"licence": SECRET, "numbers": {"1": [1]}}
    )
    assert "non-zero exit status: 3" in result["error"]
    shown = json.dumps(result) + everything_below(baker.work) + seen.read_text()
    for part in ("Geheim", "2-really"):
        assert part not in shown
    assert result["invocation"]["module_args"]["sensitive_variables"] == dict.fromkeys(
        ("licence", "numbers"), "(sensitive)"
    )
    assert "licence: (sensitive)" in Path(result["log_path"]).read_text()
    assert "sensitive.pkrvars.json" in seen.read_text(), "the file was there while Packer ran"
    assert [line for line in seen.read_text().splitlines() if "pkrvars.json" in line and "-rw" in line]
    assert all(
        line.startswith("-rw-------") for line in seen.read_text().splitlines() if line.startswith("-rw")
    )
    assert not (baker.work / "sensitive.pkrvars.json").exists()


def test_values_arrive_as_they_are(baker: Baker) -> None:
    seen = baker.folder / "seen"
    value = "${not.me} %{if} $${y} 'quoted' \"é\" a,b"
    baker.bake(
        variables={
            "script": f'cp "$PROVISIONER_VARIABLES" {seen}; echo "$NUMBERS" > {seen}.numbers',
            "numbers": {"a": [1, 2.5]},
        },
        provisioner_variables={"text": value, "none": None, "flag": True, "big": 12345678901234567890},
    )
    assert json.loads(seen.read_text()) == {
        "text": value,
        "none": None,
        "flag": True,
        "big": 12345678901234567890,
    }
    assert json.loads(Path(f"{seen}.numbers").read_text()) == {"a": [1, 2.5]}


def test_an_overlay_replaces_files_and_leaves_the_template_alone(baker: Baker) -> None:
    overlay = baker.folder / "overlay"
    overlay.mkdir()
    (overlay / "source.pkr.hcl").write_text(SOURCE)
    (baker.template / "source.pkr.hcl").write_text("this is no HCL {{\n")
    before = everything_below(baker.template)
    baked = baker.bake(overlay=str(overlay))
    assert baked["ami_id"]
    assert everything_below(baker.template) == before
    assert (baker.work / "source.pkr.hcl").read_text() == SOURCE
    (overlay / "source.pkr.hcl").unlink()
    (baker.template / "source.pkr.hcl").unlink()
    (overlay / "tiny.pkr.hcl").write_text(SOURCE)
    assert baker.bake(overlay=str(overlay))["reasons"] == ["template"]
    assert not (baker.work / "source.pkr.hcl").exists(), "what the template no longer has"


def test_a_template_in_json(baker: Baker) -> None:
    for path in baker.template.iterdir():
        path.unlink()
    strings, maps = ("image_name", "region", "base_image_id", "manifest_path", "mark"), ("tags", "run_tags")
    declared = {name: {"type": "string"} for name in strings} | {
        name: {"type": "map(string)"} for name in maps
    }
    source = {
        "ami_name": "${var.image_name}",
        "region": "${var.region}",
        "source_ami": "${var.base_image_id}",
        "tags": "${var.tags}",
        "run_tags": "${var.run_tags}",
        "instance_type": "t3.micro",
        "communicator": "none",
        "custom_endpoint_ec2": baker.environment["AWS_ENDPOINT_URL"],
        "skip_metadata_api_check": True,
        "skip_region_validation": True,
        "aws_polling": {"delay_seconds": 1, "max_attempts": 60},
    }
    template = {
        "variable": declared,
        "source": {"amazon-ebs": {"tiny": source}},
        "build": {
            "sources": ["amazon-ebs.tiny"],
            "provisioner": {"shell-local": {"inline": ["echo it is ${var.mark}"]}},
            "post-processor": {"manifest": {"output": "${var.manifest_path}"}},
        },
    }
    (baker.template / "image.pkr.json").write_text(json.dumps(template))
    baked = baker.bake(variables={"mark": "json"})
    assert "it is json" in Path(baked["log_path"]).read_text()


def test_a_broken_template_is_explained_in_packers_words(baker: Baker) -> None:
    (baker.template / "source.pkr.hcl").write_text(SOURCE.replace("instance_type", "instance_tyqe"))
    result = baker.fail()
    assert 'An argument named "instance_tyqe" is not expected here' in result["msg"]
    assert result["msg"].startswith("Nothing was baked.")
    assert "left" not in result


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"binary": "true"}, "true does not tell its version; is it Packer?"),
        ({"template": "/nowhere"}, "/nowhere: there is no such file or folder"),
    ],
)
def test_requests_that_cannot_be_met(baker: Baker, options: dict[str, Any], message: str) -> None:
    assert message in baker.fail(**options)["msg"]


def test_a_template_without_a_manifest(baker: Baker) -> None:
    build = (baker.template / "build.pkr.hcl").read_text()
    (baker.template / "build.pkr.hcl").write_text(build.replace('post-processor "manifest"', "#"))
    assert "needs a post-processor manifest" in baker.fail()["msg"]


def test_leftovers_are_found_by_the_tag_of_the_run(ec2: Any, base_image_id: str) -> None:
    def tags(kind: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": [{"Key": "ds-stack:bake", "Value": "run-1"}]}]

    assert leftovers(ec2, "run-1") == []
    instance = ec2.run_instances(
        ImageId=base_image_id, MinCount=1, MaxCount=1, TagSpecifications=tags("instance")
    )["Instances"][0]["InstanceId"]
    ec2.create_key_pair(KeyName="left", TagSpecifications=tags("key-pair"))
    group = ec2.create_security_group(
        GroupName="left", Description="left", TagSpecifications=tags("security-group")
    )["GroupId"]
    zone = f"{REGION}a"
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1, TagSpecifications=tags("volume"))["VolumeId"]
    assert leftovers(ec2, "run-1") == [
        f"instance {instance}",
        "key pair left",
        f"security group {group}",
        f"volume {volume}",
    ]
    assert leftovers(ec2, "run-2") == []
    ec2.terminate_instances(InstanceIds=[instance])
    assert f"instance {instance}" not in leftovers(ec2, "run-1")


def test_a_timeout_stops_everything_and_cleans_up(baker: Baker) -> None:
    mark = baker.folder / "went_on"
    began = time.monotonic()
    result = baker.fail(variables={"script": f"sleep 30; touch {mark}"}, timeout=4)
    assert time.monotonic() - began < 20
    assert "The bake failed. stopped after" in result["msg"]
    assert "timeout" in result["error"]
    assert result["left"] == []
    assert not mark.exists()
    assert "Terminating the source AWS instance" in Path(result["log_path"]).read_text()
    assert "warnings" not in baker.bake(variables={"script": "true"}), "it was reported"


def test_a_killed_module_stops_packer_and_the_next_run_tells(baker: Baker) -> None:
    process = baker.command(
        variables={"script": f"touch {baker.folder}/begun; sleep 30; touch {baker.folder}/went_on"},
        sensitive_variables={"licence": SECRET},
    )
    wait_for((baker.folder / "begun").exists)
    process.kill()
    process.communicate()
    attempt = baker.work / ".attempt.json"
    wait_for(lambda: json.loads(attempt.read_text())["outcome"])
    assert not (baker.work / "sensitive.pkrvars.json").exists()
    assert not (baker.folder / "went_on").exists()
    result = baker.bake()
    (warning,) = [text for text in map(str, result["warnings"]) if "An earlier bake" in text]
    assert "was stopped (the module was killed)" in warning
    assert "It left no instance" in warning
    assert "warnings" not in baker.bake(force=True), "told once"


def test_two_runs_in_one_folder(baker: Baker) -> None:
    process = baker.command(variables={"script": f"touch {baker.folder}/begun; sleep 5"})
    wait_for((baker.folder / "begun").exists)
    assert "is in use by packer_image" in baker.fail()["msg"]
    assert json.loads(process.communicate()[0])["changed"] is True


def wait_for(condition: Any, seconds: float = 30) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def test_in_a_play_progress_is_shown_and_ansible_is_found(baker: Baker) -> None:
    script = (
        'echo "PLAYBOOK=$PLAYBOOK COLLECTIONS=$COLLECTIONS"; $PLAYBOOK --version > /dev/null && '
        "test -d ${COLLECTIONS%%:*}/ansible_collections/iac/ds_stack"
    )
    play = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": [{"iac.ds_stack.packer_image": {**baker.options, "variables": {"script": script}}}],
        }
    ]
    playbook = baker.folder / "play.yml"
    playbook.write_text(json.dumps(play))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)]
    environment = {**baker.environment, "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".cache/collections")}
    del environment["PYTHONPATH"]
    runs = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        for _ in range(2)
    ]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stdout + runs[0].stderr
    lines = [line.strip() for line in runs[0].stdout.splitlines()]
    assert any(line.startswith("Baking tiny-") and "no image with this content" in line for line in lines)
    assert any(line.startswith("0:0") and "Creating AMI tiny-" in line for line in lines)
    assert "changed=1" in runs[0].stdout
    assert "changed=0" in runs[1].stdout


NEWER_PACKER = r"""#!/bin/sh
echo "$*" >> calls
say() { printf '%s\n' "1795464818,,ui,say,==> amazon-ebs.tiny: $1"; }
case $1 in
  version) echo "1795464818,,version,1.14.2" ;;
  build)
    echo "$TMPDIR" > temporary; touch "$TMPDIR/ansible-key1"
    say "Provisioning with Ansible..."
    say "Executing Ansible: ansible-playbook image.yml"
    say "TASK [iac.ds_stack.base : Install packages] ****"
    if [ -e fail ]; then
      say 'fatal: [default]: FAILED! => {"changed": false%!(PACKER_COMMA) "msg": "E: no such package\n"}'
      say "Provisioning step had errors: Running the cleanup provisioner%!(PACKER_COMMA) if present..."
      echo "1795464818,amazon-ebs.tiny,error,Error executing Ansible: Non-zero exit status: exit status 2"
      exit 1
    fi
    cp made.json manifest.json ;;
esac
"""


def test_newer_versions_get_their_plugins_first(baker: Baker, ec2: Any, base_image_id: str) -> None:
    """With a stand-in that prints what Packer 1.14 prints: it cannot be had here."""
    packer = baker.folder / "packer"
    packer.write_text(NEWER_PACKER)
    packer.chmod(0o755)
    instance = ec2.run_instances(ImageId=base_image_id, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    ami_id = ec2.create_image(InstanceId=instance, Name="made-by-the-stand-in")["ImageId"]
    build = {"name": "tiny", "builder_type": "amazon-ebs", "packer_run_uuid": "u"}
    made = {"builds": [{**build, "artifact_id": f"{REGION}:{ami_id}"}], "last_run_uuid": "u"}
    (baker.template / "made.json").write_text(json.dumps(made))
    assert baker.bake(binary=str(packer))["ami_id"] == ami_id
    calls = [line.split()[0] for line in (baker.work / "calls").read_text().splitlines()]
    assert calls == ["version", "init", "validate", "build"]
    assert not Path((baker.work / "temporary").read_text().strip()).exists(), "the key of the bake is gone"

    (baker.template / "fail").touch()
    result = baker.fail(binary=str(packer), force=True)
    assert result["error"] == (
        "amazon-ebs.tiny: Task 'iac.ds_stack.base : Install packages' failed: E: no such package"
    )


# The product's own template.

OWN_VARIABLES = {
    "image_name": "demo-20261123-204512",
    "region": REGION,
    "base_image_id": "ami-00000001",
    "provisioner_variables_file": "/tmp/none.json",
    "instance_type": "t3.medium",
    "ssh_username": "admin",
    "root_device_name": "/dev/xvda",
    "root_volume_size": 10,
    "source_cidrs": ["100.64.113.1/32"],
}

#: What Packer 1.6.6 does not know.
NEWER_ARGUMENTS = ("imds_support", "temporary_security_group_source_public_ip", "temporary_key_pair_type")


def validate(folder: Path, **variables: Any) -> subprocess.CompletedProcess[str]:
    (folder / "v.pkrvars.json").write_text(json.dumps({**OWN_VARIABLES, **variables}))
    environment = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "CHECKPOINT_DISABLE": "1"}
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return subprocess.run(
        ["packer", "validate", "-var-file=v.pkrvars.json", "."],
        cwd=folder,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("subnet", [None, "subnet-1"])
def test_the_template_is_valid_but_for_what_is_newer(tmp_path: Path, subnet: str | None) -> None:
    shutil.copytree(REPOSITORY / "packer", tmp_path, dirs_exist_ok=True)
    (tmp_path / "plugins.pkr.hcl").unlink()
    source = (tmp_path / "source.pkr.hcl").read_text()
    for name in NEWER_ARGUMENTS:
        assert name in source
    head, _block, tail = source.partition("  metadata_options {")
    lines = (head + tail.partition("  }\n")[2]).splitlines()
    kept = [line for line in lines if line.strip().partition(" ")[0] not in NEWER_ARGUMENTS]
    (tmp_path / "source.pkr.hcl").write_text("\n".join(kept) + "\n")
    result = validate(tmp_path, subnet_id=subnet)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_local_clouds_overlay_makes_it_valid_for_this_packer(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "packer", tmp_path, dirs_exist_ok=True)
    shutil.copytree(REPOSITORY / "localcloud/packer", tmp_path, dirs_exist_ok=True)
    result = validate(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("folder", ["packer", "localcloud/packer"])
def test_the_templates_are_formatted(folder: str) -> None:
    assert subprocess.run(["packer", "fmt", "-check", REPOSITORY / folder], check=False).returncode == 0


def test_the_fingerprint_is_equal_from_a_checkout_and_from_the_tarball(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    checkout = tmp_path / "checkout"
    before = os.umask(0o002)
    try:
        for name in filter(None, tracked):
            source = REPOSITORY / name
            if source.is_file():  # another's removal may not be committed yet
                (checkout / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, checkout / name)
                (checkout / name).chmod(0o775 if os.access(source, os.X_OK) else 0o664)
    finally:
        os.umask(before)
    (checkout / "roles/first_boot/tasks/__pycache__").mkdir(parents=True, exist_ok=True)
    (checkout / "roles/first_boot/tasks/__pycache__/x.pyc").touch()
    galaxy = str(Path(sys.executable).with_name("ansible-galaxy"))
    subprocess.run([galaxy, "collection", "build", "--output-path", tmp_path], cwd=checkout, check=True)
    (tarball,) = tmp_path.glob("*.tar.gz")
    where = ["-p", str(tmp_path / "installed")]
    install = [galaxy, "collection", "install", "--no-deps", "--offline", *where, str(tarball)]
    subprocess.run(install, cwd=tmp_path, umask=0o077, check=True)
    installed = tmp_path / "installed/ansible_collections/iac/ds_stack"
    assert (checkout / "galaxy.yml").stat().st_mode != (installed / "MANIFEST.json").stat().st_mode
    for name in ("packer", "playbooks", "plugins", "roles", "terraform"):
        assert fp.digests(fp.entries(checkout / name)) == fp.digests(fp.entries(installed / name)), name
