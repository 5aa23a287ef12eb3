"""Module packer_image with the real Packer against a simulated EC2."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.images import find_images, leftovers
from ansible_collections.iac.ds_stack.plugins.modules import packer_image

from tests.integration.packer_bakes import REGION, SECRET, SOURCE, Baker, wait_for

pytest_plugins = ["tests.integration.packer_bakes"]
pytestmark = pytest.mark.usefixtures("needs_packer")


def image_tags(ec2: Any, ami_id: str) -> dict[str, str]:
    (image,) = ec2.describe_images(ImageIds=[ami_id])["Images"]
    return {tag["Key"]: tag["Value"] for tag in image["Tags"]}


def everything_below(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def names_below(folder: Path) -> set[Path]:
    """Without those of the logs, which are others in each run."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.suffix != ".log"}


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


def test_check_mode_makes_nothing(baker: Baker, ec2: Any, base_image_id: str) -> None:
    before = ec2.describe_images(Owners=["self"])["Images"]
    result = baker.bake(_ansible_check_mode=True, _ansible_diff=True)
    assert result["changed"] is True
    assert "ami_id" not in result
    assert "image: a new one" in result["diff"]["after"]
    assert f'base_image_id: "{base_image_id}"' in result["diff"]["after"]
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
    second = baker.bake(**options, _ansible_check_mode=True, _ansible_diff=True)
    assert second["reasons"] == ["files.roles", "provisioner_variables.r_version"]
    before, after = (second["diff"][side].splitlines() for side in ("before", "after"))
    assert before[0] == f"image: {first['ami_id']}"
    assert [line.partition(": ")[0] for line in before[1:]] == [
        "files.roles/main.yml",
        "provisioner_variables.r_version",
    ]
    assert after[2] == 'provisioner_variables.r_version: "4.5.2"'


def test_a_program_beside_the_template_is_not_taken_for_one_of_pythons(baker: Baker) -> None:
    for name in ("signal", "subprocess"):
        (baker.template / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    assert baker.bake()["changed"] is True


def test_an_image_that_is_gone_is_baked_anew(baker: Baker, ec2: Any) -> None:
    first = baker.bake()
    ec2.deregister_image(ImageId=first["ami_id"])
    second = baker.bake()
    assert second["reasons"] == [f"the image {first['ami_id']} is gone"]


SELF_TEST = """cat > self-test.json << END
{"image": "$IMAGE", "passed": PASSED, "checks": [
  {"name": "sign-in", "outcome": "OUTCOME", "detail": "nobody gets in"},
  {"name": "RStudio session", "outcome": "not shown", "detail": "a stand-in"}]}
END"""


def self_test(baker: Baker, *, passed: bool) -> dict[str, Any]:
    """Options of a bake whose build tests the machine and writes down how that went."""
    build = baker.template / "build.pkr.hcl"
    if "IMAGE=" not in build.read_text():
        build.write_text(build.read_text().replace("[\n", '[\n      "IMAGE=${var.image_name}",\n', 1))
    outcome = "passed" if passed else "failed"
    script = SELF_TEST.replace("PASSED", str(passed).lower()).replace("OUTCOME", outcome)
    return {"self_test": "self-test.json", "variables": {"script": script}}


def test_only_an_image_that_passed_its_self_test_is_found_again(baker: Baker, ec2: Any) -> None:
    options = self_test(baker, passed=True)
    unasked = baker.bake(variables=options["variables"])
    assert unasked["verified"] == ""
    asked = baker.bake(**options)
    assert asked["reasons"] == [f"{unasked['ami_id']} has not passed a self-test"]
    assert asked["verified"] == "all but RStudio session"
    assert image_tags(ec2, asked["ami_id"])["ds-stack:verified"] == asked["verified"]
    again = baker.bake(**options)
    assert (again["ami_id"], again["reused"], again["verified"]) == (asked["ami_id"], True, asked["verified"])

    ec2.create_tags(
        Resources=[asked["ami_id"]], Tags=[{"Key": "ds-stack:failed", "Value": "self-test: no kernel"}]
    )
    assert baker.bake(**options, allow_unverified=True)["ami_id"] == unasked["ami_id"], (
        "rather than a failed one"
    )
    after = baker.bake(**options)
    assert after["reasons"] == [f"a machine of {asked['ami_id']} has failed (self-test: no kernel)"]
    assert baker.bake(**options)["ami_id"] == after["ami_id"]


def test_a_machine_that_did_not_pass_its_self_test_makes_no_image(baker: Baker, ec2: Any) -> None:
    options = self_test(baker, passed=False)
    failed = baker.fail(**options)
    assert "has not passed its self-test: sign-in: nobody gets in." in failed["msg"]
    (left,) = (one.removeprefix("image ") for one in failed["left"])
    assert not {"ds-stack:fingerprint", "ds-stack:verified"} & image_tags(ec2, left).keys()
    allowed = baker.bake(**options, allow_unverified=True)
    assert allowed["verified"] == ""
    assert "ds-stack:verified" not in image_tags(ec2, allowed["ami_id"])
    assert baker.bake(**options, allow_unverified=True)["ami_id"] == allowed["ami_id"]


def test_another_stack_does_not_share_the_image(baker: Baker) -> None:
    first = baker.bake()
    other = baker.bake(tags={"ds-stack:name": f"not-{baker.folder.name}"})
    assert other["fingerprint"] == first["fingerprint"]
    assert other["ami_id"] != first["ami_id"]


@pytest.mark.fault(17)
@pytest.mark.fault(12)
def test_a_failing_provisioner(baker: Baker, ec2: Any) -> None:
    result = baker.fail(variables={"script": "echo about to fail; echo oh no >&2; exit 3"})
    assert "Script exited with non-zero exit status: 3" in result["msg"]
    assert {"  about to fail", "  oh no"} <= set(result["error"].splitlines())
    assert result["left"] == []
    assert "It left no instance, key pair, security group, volume or image in the account." in result["msg"]
    assert result["log_path"] in result["msg"]
    assert "Terminating the source AWS instance" in Path(result["log_path"]).read_text()
    filters = [{"Name": "tag:ds-stack:name", "Values": [baker.folder.name]}]
    assert ec2.describe_images(Owners=["self"], Filters=filters)["Images"] == []
    assert baker.bake(variables={"script": "true"})["changed"] is True, "a failed bake is no image"


@pytest.mark.fault(17)
def test_one_of_two_builds_fails(baker: Baker, ec2: Any) -> None:
    """The image of the other one stays, is told of, and is not taken for a good one."""
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
    (left,) = result["left"]
    assert f"It left in the account, and you should remove: {left} (tag ds-stack:bake=" in result["msg"]
    tags = image_tags(ec2, left.removeprefix("image "))
    assert tags["ds-stack:name"] == baker.folder.name
    assert "ds-stack:fingerprint" not in tags
    assert baker.bake(_ansible_check_mode=True)["reasons"] == ["no image with this content"]


def masked(text: str) -> str:
    """Text in which it does not matter who has masked: newer versions of Packer do it too."""
    return text.replace("<sensitive>", "(sensitive)")


@pytest.mark.fault(7)
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
    assert "licence: (sensitive)" in masked(Path(result["log_path"]).read_text())
    assert "sensitive.pkrvars.json" in seen.read_text(), "the file was there while Packer ran"
    assert [line for line in seen.read_text().splitlines() if "pkrvars.json" in line and "-rw" in line]
    assert all(
        line.startswith("-rw-------") for line in seen.read_text().splitlines() if line.startswith("-rw")
    )
    assert not (baker.work / "sensitive.pkrvars.json").exists()


@pytest.mark.fault(8)
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


@pytest.mark.fault(12)
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
        ({"base_image_id": "ami-0123456789abcdef0"}, "The base image ami-0123456789abcdef0 cannot be used"),
        ({"binary": "no-such-packer"}, "There is no no-such-packer on the PATH"),
        ({"region": None}, "Say in which region"),
    ],
)
def test_requests_that_cannot_be_met(baker: Baker, options: dict[str, Any], message: str) -> None:
    assert message in baker.fail(**options)["msg"]


def test_without_an_answer_of_the_account(baker: Baker) -> None:
    baker.environment["AWS_MAX_ATTEMPTS"] = "1"
    message = baker.fail(endpoint_url="http://127.0.0.1:1")["msg"]
    assert "Could not connect to the endpoint URL" in message


def test_a_template_in_one_file(baker: Baker) -> None:
    text = "".join(path.read_text() for path in sorted(baker.template.iterdir()))
    (baker.folder / "image.pkr.hcl").write_text(text)
    (baker.folder / "other.pkr.hcl").write_text("not of this template {{")
    assert baker.bake(template=str(baker.folder / "image.pkr.hcl"))["changed"] is True


def test_a_template_of_before_packer_1_5(baker: Baker) -> None:
    for path in baker.template.iterdir():
        path.unlink()
    (baker.template / "image.json").write_text(json.dumps({"builders": [{"type": "amazon-ebs"}]}))
    message = baker.fail()["msg"]
    assert "image.json is a template in the JSON of before Packer 1.5" in message
    assert "packer hcl2_upgrade image.json" in message


@pytest.mark.fault(15)
def test_the_environment_does_not_change_what_is_baked(baker: Baker) -> None:
    log = baker.folder / "packer.log"
    ours = baker.bake()
    baker.environment |= {
        "PACKER_LOG": "1",
        "PACKER_LOG_PATH": str(log),
        "PKR_VAR_script": "exit 9",
        "PKR_VAR_unknown": "x",
        "PACKER_TMP_DIR": "/nowhere",
        "CHECKPOINT_DISABLE": "",
        "PACKER_NO_COLOR": "",
    }
    again = baker.bake(force=True)
    assert again["fingerprint"] == ours["fingerprint"]
    assert not log.exists()


def test_a_template_without_a_manifest(baker: Baker) -> None:
    build = (baker.template / "build.pkr.hcl").read_text()
    (baker.template / "build.pkr.hcl").write_text(build.replace('post-processor "manifest"', "#"))
    result = baker.fail()
    assert "needs a post-processor manifest" in result["msg"]
    assert len(result["left"]) == 1, "the image whose id is not known"


@pytest.mark.fault(17)
def test_the_image_is_that_of_the_manifests_last_run(baker: Baker, ec2: Any) -> None:
    """A template may write its manifest elsewhere and copy it, or an older run's may be there."""
    older = {"name": "tiny", "builder_type": "amazon-ebs", "artifact_id": f"{REGION}:ami-00000000"}
    manifest = json.dumps({"builds": [{**older, "packer_run_uuid": "older"}], "last_run_uuid": "older"})
    script = f"test ! -e {baker.work}/manifest.json && echo '{manifest}' > {baker.work}/manifest.json"
    baked = baker.bake(variables={"script": script})
    written = json.loads((baker.work / "manifest.json").read_text())
    assert len(written["builds"]) == 2
    assert image_tags(ec2, baked["ami_id"])["Name"] == baked["image_name"]


def test_a_secret_in_the_manifest_is_masked(baker: Baker) -> None:
    build = (baker.template / "build.pkr.hcl").read_text()
    data = "output = var.manifest_path\n custom_data = { licence = var.licence }"
    (baker.template / "build.pkr.hcl").write_text(
        build.replace("{ output = var.manifest_path }", f"{{\n{data}\n}}")
    )
    baker.bake(sensitive_variables={"licence": "plain-but-secret"})
    (written,) = json.loads((baker.work / "manifest.json").read_text())["builds"]
    assert written["custom_data"] == {"licence": "(sensitive)"}


def test_what_is_documented_is_returned(baker: Baker) -> None:
    baked, failed = baker.bake(), baker.fail(force=True, variables={"script": "exit 1"})
    assert yaml.safe_load(packer_image.RETURN).keys() <= {*baked, *failed}


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


@pytest.mark.fault(13)
@pytest.mark.fault(17)
def test_a_timeout_stops_everything_and_cleans_up(baker: Baker) -> None:
    mark = baker.folder / "went_on"
    began = time.monotonic()
    result = baker.fail(variables={"script": f"sleep 120; touch {mark}"}, timeout=4)
    assert time.monotonic() - began < 100
    assert "The bake failed. stopped after" in result["msg"]
    assert "timeout" in result["error"]
    assert result["left"] == []
    assert not mark.exists()
    assert "Terminating the source AWS instance" in Path(result["log_path"]).read_text()
    assert "warnings" not in baker.bake(variables={"script": "true"}), "it was reported"


@pytest.mark.fault(18)
def test_two_runs_in_one_folder(baker: Baker) -> None:
    go_on = baker.folder / "go_on"
    script = f"touch {baker.folder}/begun; until test -e {go_on}; do sleep 0.2; done"
    process = baker.command(variables={"script": script})
    wait_for((baker.folder / "begun").exists, "the provisioner")
    assert "is in use by packer_image" in baker.fail()["msg"]
    go_on.touch()
    assert json.loads(process.communicate()[0])["changed"] is True


NEWER_PACKER = r"""#!/bin/sh
echo "$*" >> calls
say() { printf '%s\n' "1795464818,,ui,say,==> amazon-ebs.tiny: $1"; }
case $1 in
  version) echo "1795464818,,version,1.14.2" ;;
  init)
    if grep -q '"= 9' plugins.pkr.hcl; then
      echo "1795464818,,ui,error,no release version found"
      exit 1
    fi ;;
  plugins) echo "1795464818,,ui,say,toy github.com/acme/toy \"~> 1.0\" $(cat plugins-there)" ;;
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
    say "PLAY RECAP ****"
    say "Running post-processor:  (type manifest)"
    cp made.json manifest.json
    echo "1795464818,,ui,say,\\n==> Builds finished. The artifacts of successful builds are:"
    echo "1795464818,amazon-ebs.tiny,artifact,0,id,us-east-1:$(cat made)" ;;
esac
"""


TOY = "github.com/acme/toy"


def offer_plugins(baker: Baker, *versions: str) -> None:
    """Put plugins where the stand-in for Packer finds them, and ask for one."""
    files = [baker.folder / f"packer-plugin-toy_v{version}_x5.0_linux_amd64" for version in versions]
    for file in files:
        file.write_text(f"the plugin {file.name}")
    (baker.template / "plugins-there").write_text(" ".join(map(str, files)))
    asked = f'    toy = {{\n      source  = "{TOY}"\n      version = "~> 1.0"\n    }}\n'
    text = f"packer {{\n  required_plugins {{\n{asked}  }}\n}}\n"
    (baker.template / "plugins.pkr.hcl").write_text(text)


def look_at_the_plugins(baker: Baker, binary: str) -> None:
    """They are told, kept to on the next bake, and refused when they are not what was locked."""
    first = baker.bake(binary=binary, force=True)["plugins"]
    assert first[TOY]["version"] == "1.1.0"
    offer_plugins(baker, "1.1.0", "1.2.0")
    assert baker.bake(binary=binary, force=True)["plugins"][TOY]["version"] == "1.2.0", "without"
    held = {"binary": binary, "force": True, "plugins": first}
    assert "would take the plugin github.com/acme/toy 1.2.0.\nIt is held to" in baker.fail(**held)["msg"]
    assert 'version = "= 1.1.0"' in (baker.work / "plugins.pkr.hcl").read_text(), "which the true one heeds"
    offer_plugins(baker, "1.1.0")
    assert baker.bake(**held)["plugins"] == first
    (baker.folder / "packer-plugin-toy_v1.1.0_x5.0_linux_amd64").write_text("another file")
    said = baker.fail(**held)["msg"]
    assert "The plugin github.com/acme/toy 1.1.0 has the SHA-256 " in said
    assert "by `plugins`. To take what there is now, lock the tools anew." in said
    gone = {TOY: {**first[TOY], "version": "9.0.0"}}
    assert "no release version found\nIt is held to" in baker.fail(**{**held, "plugins": gone})["msg"]
    assert "is not whole" in baker.fail(**{**held, "plugins": {TOY: "1.1.0"}})["msg"]
    offer_plugins(baker, "1.1.0")


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
    (baker.template / "made").write_text(ami_id)
    offer_plugins(baker, "1.1.0")
    assert baker.bake(binary=str(packer))["ami_id"] == ami_id
    calls = [line.split()[0] for line in (baker.work / "calls").read_text().splitlines()]
    assert calls == ["version", "init", "plugins", "validate", "build"]
    assert not Path((baker.work / "temporary").read_text().strip()).exists(), "the key of the bake is gone"

    look_at_the_plugins(baker, str(packer))

    (baker.template / "fail").touch()
    result = baker.fail(binary=str(packer), force=True)
    assert result["error"] == (
        "amazon-ebs.tiny: Task 'iac.ds_stack.base : Install packages' failed: E: no such package"
    )


KILL = """
import os, pathlib, signal, sys
found, pid = [], os.getppid()
while pid > 1:
    command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\\0")
    if b"packer" in command[0] and command[1:2] == [b"build"]:
        found.append(pid)
    pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
os.kill(found[0] if sys.argv[1] == "core" else found[-1], signal.SIGKILL)
"""


def kill_packer(baker: Baker, which: str) -> str:
    """A script that kills the process of Packer that works, or the one that started it."""
    (baker.folder / "kill.py").write_text(KILL)
    return f"{sys.executable} {baker.folder}/kill.py {which}; sleep 3"


@pytest.mark.fault(27)
def test_packers_core_is_killed(baker: Baker) -> None:
    """As the kernel does when memory runs out. The process that started it exits 0."""
    result = baker.fail(variables={"script": kill_packer(baker, "core")})
    assert result["error"].startswith("Packer stopped without a word and without an error.")
    kinds = sorted(name.rpartition(" ")[0] for name in result["left"])
    assert kinds[0] == "instance", "nobody has cleaned up"
    assert "you should remove: instance i-" in result["msg"]
    assert baker.bake(variables={"script": "true"})["changed"] is True


@pytest.mark.fault(7)
@pytest.mark.parametrize("secret", [SECRET, 'a,b,c "d", e', "one, two"])
def test_packers_outer_process_is_killed(baker: Baker, secret: str) -> None:
    script = f'echo "licence: $LICENCE"; sleep 1; {kill_packer(baker, "outer")}'
    result = baker.fail(variables={"script": script}, sensitive_variables={"licence": secret})
    shown = json.dumps(result) + everything_below(baker.work)
    for part in (secret, secret.replace(",", "%!(PACKER_COMMA)"), json.dumps(secret)[1:-1]):
        assert part not in shown
    assert "(sensitive)" in masked(result["error"])


@pytest.mark.fault(25)
@pytest.mark.parametrize(
    "environment",
    [
        {
            "ANSIBLE_GATHERING": "explicit",
            "ANSIBLE_GATHER_SUBSET": "!all,!min",
            "ANSIBLE_BECOME": "True",
            "ANSIBLE_BECOME_METHOD": "nothing",
            "ANSIBLE_BECOME_USER": "nobody-of-that-name",
            "ANSIBLE_STRATEGY": "debug",
            "ANSIBLE_VAULT_PASSWORD_FILE": "/gone",
            "ANSIBLE_INVENTORY": "/gone",
            "ANSIBLE_STDOUT_CALLBACK": "minimal",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_CALLBACK_FORMAT_PRETTY": "True",
            "ANSIBLE_DISPLAY_FAILED_STDERR": "True",
            "ANSIBLE_CONFIG": "/gone.cfg",
            "ANSIBLE_LOG_PATH": "log-of-the-caller",
            "ANSIBLE_TAGS": "none",
        },
        {"HOME": "home"},
        {"HOME": ""},
    ],
)
def test_the_callers_ansible_is_not_the_bakes(baker: Baker, environment: dict[str, str]) -> None:
    home = baker.folder / "home"
    home.mkdir()
    (home / ".ansible.cfg").write_text("[defaults]\ngathering = explicit\nvault_password_file = /gone\n")
    (baker.template / "play.yml").write_text(
        "- hosts: localhost\n  tasks:\n"
        '    - {name: Look, ansible.builtin.debug: {msg: "kernel {{ ansible_facts.kernel }}"}}\n'
    )
    for name, value in environment.items():
        baker.environment[name] = str(home) if value == "home" else value
    interpreter = f"-e ansible_python_interpreter={sys.executable}"
    script = f"$PLAYBOOK -i localhost, -c local {interpreter} play.yml; env | grep ^ANSIBLE_ | sort; ls -A"
    baked = baker.bake(
        variables={"script": script}, ansible_playbook=str(Path(sys.executable).with_name("ansible-playbook"))
    )
    log = Path(baked["log_path"]).read_text()
    assert '"msg": "kernel ' in log
    seen = dict(line.split(": ", 1)[1].split("=", 1) for line in log.splitlines() if "tiny: ANSIBLE_" in line)
    own = {
        "CALLBACK_RESULT_FORMAT",
        "DISPLAY_OK_HOSTS",
        "DISPLAY_SKIPPED_HOSTS",
        "NOCOLOR",
        "STDOUT_CALLBACK",
    }
    assert set(seen) == {f"ANSIBLE_{name}" for name in own | {"CONFIG"}}
    assert "log-of-the-caller" not in log


@pytest.mark.fault(25)
def test_packer_does_not_count_its_looks_by_boto3s_tries(baker: Baker) -> None:
    source = (baker.template / "source.pkr.hcl").read_text()
    (baker.template / "source.pkr.hcl").write_text(source.partition("  aws_polling")[0] + "}\n")
    baker.environment |= {"AWS_MAX_ATTEMPTS": "3", "AWS_POLL_DELAY_SECONDS": "1", "AWS_TIMEOUT_SECONDS": "1"}
    baked = baker.bake(
        variables={"script": 'test -z "$AWS_MAX_ATTEMPTS$AWS_POLL_DELAY_SECONDS$AWS_TIMEOUT_SECONDS"'}
    )
    assert baked["changed"] is True


def test_an_ansible_configuration_of_the_template_counts(baker: Baker) -> None:
    (baker.template / "ansible.cfg").write_text("[defaults]\nforks = 3\n")
    script = 'cat "$ANSIBLE_CONFIG"'
    assert "forks = 3" in Path(baker.bake(variables={"script": script})["log_path"]).read_text()


def test_what_a_person_puts_into_the_folder_does_not_shape_the_image(baker: Baker) -> None:
    baker.bake()
    for name in ("mine.auto.pkrvars.hcl", "more.pkr.hcl", "ansible.cfg", "roles/r/tasks/main.yml"):
        stray = baker.work / name
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_text('script = "exit 9"\n')
        assert baker.bake()["reused"] is True, "the image of this template is there"
        for check_mode in (True, False):
            message = baker.fail(force=True, _ansible_check_mode=check_mode)["msg"]
            assert f"holds {name}, which would shape the image and is not of its template" in message
        stray.unlink()
    (baker.template / "mine.auto.pkrvars.hcl").write_text('script = "echo of the template"\n')
    baked = baker.bake()
    assert baked["reasons"] == ["template"]
    assert "tiny: of the template" in Path(baked["log_path"]).read_text()


def test_what_a_bake_leaves_in_the_folder_is_no_strays(baker: Baker) -> None:
    variables = {"script": "mkdir -p out; date +%N >> out/times; touch crash.log"}
    baker.bake(variables=variables)
    assert baker.bake(force=True, variables=variables)["changed"] is True
    assert len((baker.work / "out/times").read_text().splitlines()) == 2
    (baker.work / "out/times").write_text("by hand")
    assert "holds out/times" in baker.fail(force=True, variables=variables)["msg"]


def test_variables_may_be_declared_in_all_ways(baker: Baker) -> None:
    text = (baker.template / "variables.pkr.hcl").read_text()
    for name in ("image_name", "tags", "script"):
        text = text.replace(f'variable "{name}"', f"variable {name}")
    text = text.replace('variable "base_image_id" { type = string }\n', "")
    text += 'variables {\n  base_image_id = ""\n  texts = {\n    inner = 1\n  }\n}\n'
    (baker.template / "variables.pkr.hcl").write_text(text)
    baked = baker.bake(variables={"script": "echo declared", "texts": {"inner": 2}})
    assert "tiny: declared" in Path(baked["log_path"]).read_text()
    assert "declares no variable inner" in baker.fail(variables={"inner": 1})["msg"]


def test_a_name_may_hold_slashes(baker: Baker, ec2: Any) -> None:
    baked = baker.bake(name="team/images/tiny")
    assert baked["image_name"].startswith("team/images/tiny-")
    assert Path(baked["log_path"]).parent == baker.work / "log"
    assert image_tags(ec2, baked["ami_id"])["Name"] == baked["image_name"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "The name '' cannot begin the name of an image"),
        ({"template": ""}, "template: it is empty."),
        ({"work_dir": ""}, "work_dir: it is empty."),
        ({"tags": {"a": [1]}}, "tags: the value of 'a' is no text."),
        ({"tags": {"": "x"}}, "tags: AWS takes no tag"),
        ({"name": "a" * 200}, "cannot begin the name of an image"),
        ({"name": "a*b\n"}, "cannot begin the name of an image"),
        ({"work_dir": "TEMPLATE"}, "lie in each other"),
        ({"work_dir": "TEMPLATE/work"}, "lie in each other"),
        ({"work_dir": "FOLDER"}, "lie in each other"),
        ({"work_dir": "FOLDER/a-file"}, "a-file cannot be made: "),
        ({"work_dir": "FOLDER/a-file/below"}, "a-file/below cannot be made: Not a directory"),
        ({"work_dir": "/proc/nothing"}, "The work_dir /proc/nothing cannot be made: "),
        ({"fingerprint_paths": ["sub"], "work_dir": "FOLDER/sub/work"}, "lies in sub, which is one of"),
    ],
)
def test_names_and_folders_that_cannot_be(baker: Baker, options: dict[str, Any], message: str) -> None:
    (baker.folder / "a-file").touch()
    (baker.folder / "sub").mkdir()
    places = {"TEMPLATE": str(baker.template), "FOLDER": str(baker.folder)}
    for place, path in places.items():
        if "work_dir" in options:
            options = {**options, "work_dir": options["work_dir"].replace(place, path)}
    before = everything_below(baker.template)
    assert message in baker.fail(**options)["msg"]
    assert everything_below(baker.template) == before


@pytest.mark.fault(23)
def test_the_same_folders_by_other_names(baker: Baker, tmp_path: Path) -> None:
    """They come to the same image, and each run leaves the same files."""
    (baker.folder / "roles").mkdir()
    (baker.folder / "roles" / "main.yml").touch()
    (baker.template / "sub").mkdir()
    (baker.template / "sub" / "naïve\nfile").write_text("x")
    (baker.folder / "to_template").symlink_to("template")
    (baker.folder / "to_folder").symlink_to(tmp_path)
    with contextlib.chdir(baker.folder):
        baked = baker.bake(fingerprint_paths=["roles"])
        left = names_below(baker.work)
        for template, work_dir, force in (
            ("template", "work/", False),
            ("to_template/", "template/../work", True),
            ("template/sub/..", "to_folder/work", False),
            ("to_template/sub/../../template", "to_folder/to_template/../work", True),
        ):
            again = baker.bake(
                template=template, work_dir=work_dir, fingerprint_paths=["./roles/"], force=force
            )
            assert again["fingerprint"] == baked["fingerprint"], template
            assert again["reasons"] == (["force"] if force else [])
            assert names_below(baker.work) == left


@pytest.mark.fault(23)
@pytest.mark.parametrize("name", ["template/link", "template/deep/in/link", "roles/link"])
def test_a_link_to_the_work_dir_is_told_before_anything_is_baked(baker: Baker, name: str, ec2: Any) -> None:
    link = baker.folder / name
    link.parent.mkdir(parents=True, exist_ok=True)
    (baker.folder / "out").mkdir()
    link.symlink_to(baker.folder / "out")
    (baker.folder / "roles").mkdir(exist_ok=True)
    (baker.folder / "roles" / "main.yml").touch()
    options = {"work_dir": str(baker.folder / "out" / "work"), "fingerprint_paths": ["roles"]}
    for _run in range(2):
        assert f"{link} leads to the folder {baker.folder}/out/work" in baker.fail(**options)["msg"]
        assert list((baker.folder / "out").iterdir()) == []
    link.unlink()
    link.symlink_to(baker.folder / "roles" / "main.yml")
    first = baker.bake(**options)
    assert first["changed"]
    assert baker.bake(**options)["fingerprint"] == first["fingerprint"]


@pytest.mark.fault(23)
def test_a_name_that_is_no_text_does_not_break_the_result(baker: Baker) -> None:
    """Ansible refuses a result with it, after the work was done."""
    (baker.template / os.fsdecode(b"latin\xe9")).write_text("x")
    baked = baker.bake(_ansible_diff=True)
    assert baked["changed"]
    (baker.template / os.fsdecode(b"latin\xe9")).write_text("y")
    diff = baker.bake(_ansible_diff=True, _ansible_check_mode=True)["diff"]
    assert [line.partition(": ")[0] for line in diff["after"].splitlines()[1:]] == ["template/latin\\udce9"]
    (baker.work / os.fsdecode(b"stray\xff")).touch()
    assert "holds stray\\udcff, which" in baker.fail()["msg"]


@pytest.mark.fault(7)
@pytest.mark.parametrize("options", [{"variables": {"scirpt": ""}}, {"name": "a*"}, {"template": "/nowhere"}])
def test_a_short_secret_is_not_in_the_options_that_an_error_repeats(
    baker: Baker, options: dict[str, Any]
) -> None:
    result = baker.fail(sensitive_variables={"licence": "xQ7"}, **options)
    assert result["invocation"]["module_args"]["sensitive_variables"] == {"licence": "(sensitive)"}
    assert "xQ7" not in json.dumps(result)


@pytest.mark.parametrize("home", [None, "", "/nonexistent"])
def test_without_a_home_packers_own_words_are_told(baker: Baker, home: str | None) -> None:
    baker.environment.pop("HOME")
    if home is not None:
        baker.environment["HOME"] = home
    (baker.template / "source.pkr.hcl").write_text(SOURCE.replace("instance_type", "instance_tyqe"))
    assert 'An argument named "instance_tyqe" is not expected here' in baker.fail()["msg"]


def test_a_manifest_that_lies_elsewhere(baker: Baker) -> None:
    build = (baker.template / "build.pkr.hcl").read_text()
    (baker.template / "build.pkr.hcl").write_text(build.replace("var.manifest_path", '"elsewhere.json"'))
    result = baker.fail()
    assert (
        "The output of the template's post-processor manifest has to be var.manifest_path." in result["msg"]
    )
    assert len(result["left"]) == 1
    (baker.template / "build.pkr.hcl").write_text(
        build.replace('post-processor "manifest" {', 'post-processor "shell-local" {').replace(
            "output = var.manifest_path", 'inline = ["echo post"]'
        )
    )
    assert "needs a post-processor manifest" in baker.fail()["msg"]


@pytest.mark.fault(27)
def test_a_manifest_of_another_run_is_not_believed(baker: Baker) -> None:
    older = {"name": "tiny", "builder_type": "amazon-ebs", "artifact_id": f"{REGION}:ami-00000000"}
    manifest = json.dumps({"builds": [{**older, "packer_run_uuid": "older"}], "last_run_uuid": "older"})
    build = (baker.template / "build.pkr.hcl").read_text()
    (baker.template / "build.pkr.hcl").write_text(build.replace("var.manifest_path", '"elsewhere.json"'))
    result = baker.fail(variables={"script": f"echo '{manifest}' > {baker.work}/manifest.json"})
    assert "The manifest names ami-00000000, which Packer does not say that it has made" in result["msg"]
    assert len(result["left"]) == 1


@pytest.mark.fault(27)
def test_a_copy_in_another_region_is_named_and_loses_its_fingerprint(baker: Baker, endpoint: str) -> None:
    (baker.template / "source.pkr.hcl").write_text(
        SOURCE.replace("  communicator ", '  ami_regions = ["eu-west-1"]\n  communicator ')
    )
    build = (baker.template / "build.pkr.hcl").read_text().replace("var.script]", '"true"]')
    failing = 'post-processor "shell-local" { inline = [var.script] }\n}'
    (baker.template / "build.pkr.hcl").write_text(build.rstrip().removesuffix("}") + failing)
    result = baker.fail(variables={"script": "exit 6"})
    there = client_in("eu-west-1", endpoint)
    (copy,) = [name.split()[1] for name in result["left"] if name.endswith(" in eu-west-1")]
    assert f"image {copy} in eu-west-1" in result["msg"]
    assert "ds-stack:fingerprint" not in image_tags(there, copy)
    assert image_tags(there, copy)["ds-stack:bake"]


def client_in(region: str, endpoint: str) -> Any:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "testtest"}
    return boto3.client("ec2", region_name=region, endpoint_url=endpoint, **keys)


@pytest.mark.fault(27)
@pytest.mark.parametrize("is_tagged", [True, False])
def test_an_image_that_was_finished_late_is_told(
    baker: Baker, ec2: Any, base_image_id: str, is_tagged: bool
) -> None:
    """Of a bake that was stopped while its image was pending; older plugins tag it when it is finished."""
    name = f"{baker.folder.name}-20261127-184203"
    tags = {"ds-stack:part": "bake", "ds-stack:bake": "r1", "ds-stack:name": baker.folder.name, "Name": name}
    specification = [
        {"ResourceType": "image", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    ]
    instance = ec2.run_instances(ImageId=base_image_id, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    made = ec2.create_image(
        InstanceId=instance, Name=name, **({"TagSpecifications": specification} if is_tagged else {})
    )["ImageId"]
    options: dict[str, Any] = {"name": baker.folder.name, "_ansible_check_mode": True}
    warnings = " ".join(map(str, baker.bake(**options)["warnings"]))
    assert f"The image {made} ({name}) was finished after its bake had been stopped." in warnings
    assert "warnings" not in baker.bake(**{**options, "name": "other", "tags": {"ds-stack:name": "other"}})
    ec2.deregister_image(ImageId=made)
    assert "warnings" not in baker.bake(**options)


def test_snapshots_are_found_by_the_tag_of_the_run(ec2: Any, base_image_id: str) -> None:
    tags = [{"Key": "ds-stack:bake", "Value": "run-9"}]
    zone = f"{REGION}a"
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(
        VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}]
    )["SnapshotId"]
    instance = ec2.run_instances(ImageId=base_image_id, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    image = ec2.create_image(InstanceId=instance, Name="run-9")["ImageId"]
    behind = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    ec2.create_tags(Resources=[image, behind], Tags=tags)
    assert leftovers(ec2, "run-9") == [f"snapshot {snapshot}"], "the other one goes with its image"


def test_a_stacks_name_is_no_pattern(ec2: Any, base_image_id: str) -> None:
    made = {}
    instance = ec2.run_instances(ImageId=base_image_id, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    for number, stack in enumerate(("team-a", "back\\slash", "[a-z]eam-a")):
        tags = {"ds-stack:name": stack, "ds-stack:fingerprint": "pattern"}
        made[stack] = ec2.create_image(InstanceId=instance, Name=f"pattern-{number}")["ImageId"]
        ec2.create_tags(Resources=[made[stack]], Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
    for stack, ami_id in made.items():
        (found,) = find_images(ec2, "pattern", {"ds-stack:name": stack})
        assert found.ami_id == ami_id
    for stack in ("*", "team-?", "t*"):
        assert find_images(ec2, "pattern", {"ds-stack:name": stack}) == []
    assert find_images(ec2, "pa*", {}) == []


def test_on_a_remote_host_progress_comes_with_the_result(baker: Baker) -> None:
    """The action plugin of such a host asks for it."""
    baker.environment["IAC_DS_STACK_PROGRESS"] = "return"
    for script, last in (
        ("true", "Running post-processor: (type manifest)"),
        ("exit 3", "Deleting temporary"),
    ):
        lines = baker.run(variables={"script": script})["progress"]
        assert lines[0].startswith("Baking tiny-")
        assert any(last in line for line in lines)
