"""A stack from its making to its end by the playbooks, against moto; run under each supported ansible-core.

Real are Ansible, the playbooks and modules, Terraform and the AWS provider. Simulated is the account (moto:
no machine boots there). Two things stand for what is missing: an image that was made beforehand, with the
fingerprint that the bake would give it, and a thread that reports as the machine would once it has booted.
With real bakes and machines the story is told on the local cloud, by tests/e2e.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml

from localcloud import provider
from tests import listings
from tests.integration.moto_stacks import (
    a_thread_for_the_machine,
    leave_volumes_without_a_snapshot,
    machines,
    make_image,
    make_older,
    report,
)
from tests.integration.operators import REGION, Operator
from tests.which_ansible import IS_OWN

if shutil.which("terraform") is None:
    pytest.skip("terraform is not on PATH", allow_module_level=True)

NAME = "story"
USERS = ("ada", "grace")
PATH = f"/ds-stack/{NAME}"


@pytest.fixture(autouse=True)
def _volumes_without_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_volumes_without_a_snapshot(monkeypatch)


@pytest.fixture
def operator(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Iterator[Operator]:
    someone = Operator.with_account(
        tmp_path_factory.mktemp("operator"),
        endpoint,
        ds_stack_name=NAME,
        ds_stack_users=[{"name": user} for user in USERS],
    )
    # How Terraform gets and starts the provider, which takes long, is the same under every ansible-core.
    with nullcontext() if IS_OWN else someone.running_provider():
        yield someone


def say(operator: Operator, **changes: str) -> None:
    """Let the machine say something else than it has said last."""
    (machine,) = machines(operator)
    ssm, name = operator.client("ssm"), f"{PATH}/machine/status/{machine['InstanceId']}"
    said = json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    ssm.put_parameter(Name=name, Value=json.dumps({**said, **changes}), Type="String", Overwrite=True)


def look_at_a_machine_that_is_not_well(operator: Operator) -> None:
    """What it said when it booted is not how it is: it fails, and it falls silent."""
    say(operator, state="failed", message="nginx: the unit is failed")
    status = operator.run("status", code=2)
    assert f"\n{NAME}: not well\n" in status
    assert f"{NAME} is not well. nginx: the unit is failed" in status
    say(operator, time="2026-11-20T09:21:44Z")
    status = operator.run("status", code=2)
    assert "what it said last need not be so any more." in status
    assert re.search(r"T09:21:44Z, \d+ seconds ago\)", status)


RECEIPT = {
    "schema": 1,
    "made": "2026-11-28T09:30:00Z",
    "image": "image-1",
    "collection": "0.1.0",
    "provenance": {},
    "settings": {"base_apt_day": "2026-11-28", "r_snapshot_date": "2024-04-01"},
    "system": {"name": "Debian GNU/Linux 12 (bookworm)", "architecture": "x86_64"},
    "tools": {"R": "4.2.2"},
    "os": {},
    "requests": {"/opt/conda/envs/ds": ["numpy"]},
    "conda": {
        "/opt/conda/envs/ds": {
            "numpy": {"version": "2.3.4", "source": "file:///numpy-2.3.4-0.conda", "md5": "ab"}
        }
    },
    "r": {"/usr/local/lib/R/site-library": {"dplyr": {"version": "1.0.10", "sha256": "cd"}}},
    "kernels": {},
}
"""What a bake would have left beside the state."""


def look_at_the_lock(operator: Operator) -> None:
    """It has what the image has. What contradicts it stops a bake, and a part is moved on purpose."""
    lock = yaml.safe_load((operator.folder / "ds_stack.lock.yml").read_text())
    assert lock["os"]["base_image"] == lock["base_image"]["image_id"]
    assert lock["conda"]["environments"]["/opt/conda/envs/ds"] == {
        "specs": ["numpy"],
        "packages": ["file:///numpy-2.3.4-0.conda#ab"],
    }
    assert lock["r"]["packages"] == {"dplyr": {"version": "1.0.10", "sha256": "cd"}}
    other = '{"ds_stack_image_variables": {"r_snapshot_date": "2026-07-01"}}'
    refused = " ".join(operator.run("bake", "-e", other, code=2).split())
    assert "r_snapshot_date is 2026-07-01, the lock says 2024-04-01" in refused
    moved = operator.run("bake", "--check", "-e", other, "-e", '{"ds_stack_relock": ["r"]}')
    assert re.search(r"image +1 to bake\n +because: ds_stack_relock r\n", moved)


PROVIDER = "registry.terraform.io/hashicorp/aws"
NEWER = "5.999.0"


def offer_a_newer_provider(operator: Operator) -> str | None:
    """From now on there is another version; which one there was, None where that cannot be shown.

    A stand-in: the same program under another number.
    """
    there = provider.find()
    packages = sorted((there / PROVIDER).glob("*/linux_*")) if IS_OWN and there else []
    if not packages:
        return None
    mirror = operator.folder / "providers"
    for version in (packages[-1].parent.name, NEWER):
        package = mirror / PROVIDER / version / packages[-1].name
        package.mkdir(parents=True)
        for file in packages[-1].iterdir():
            (package / file.name.replace(packages[-1].parent.name, version)).symlink_to(file)
    Path(operator.environment["TF_CLI_CONFIG_FILE"]).write_text(provider.configuration(mirror))
    return packages[-1].parent.name


def locked_provider(folder: Path) -> str:
    lock = yaml.safe_load((folder / "ds_stack.lock.yml").read_text())
    locked = lock["tools"]["providers"][PROVIDER]
    assert locked["hashes"]
    return locked["version"]


def look_at_the_tools(operator: Operator, version: str | None) -> bytes:
    """The provider is what was locked, until it is moved. Returns the lock as it was before that.

    version: what was there before a newer one was.
    """
    before = (operator.folder / "ds_stack.lock.yml").read_bytes()
    if version:
        assert locked_provider(operator.folder) == version
        operator.run("network", "-e", '{"ds_stack_relock": ["tools"]}')
        assert locked_provider(operator.folder) == NEWER
    return before


def bake_elsewhere(operator: Operator, image: str, folder: Path) -> None:
    """Without the lock that shaped the image nothing is baked; with it the image is the same."""
    operator.client("ec2").create_tags(Resources=[image], Tags=[{"Key": "ds-stack:lock", "Value": "ab"}])
    folder.mkdir()
    colleague = operator.moved(folder)
    refused = " ".join(colleague.run("bake", code=2).split())
    assert f"Nothing was baked. There is no {folder}/ds_stack.lock.yml, and image-1 ({image})" in refused
    (folder / "ds_stack.lock.yml").write_bytes((operator.folder / "ds_stack.lock.yml").read_bytes())
    assert re.search(rf"^  Image +{image}, baked today$", colleague.run("bake"), re.MULTILINE)


def destroy_elsewhere(operator: Operator, folder: Path, lock: bytes, version: str | None) -> None:
    """From another folder, with nothing but the name and the lock, though nobody can tell who is at work."""
    folder.mkdir()
    (folder / "ds_stack.lock.yml").write_bytes(lock)
    destroyed = operator.elsewhere(folder).run("destroy", ds_stack_replace="now")
    assert f"{NAME} is destroyed." in destroyed
    if version:  # Terraform locks none that it finds running
        locks = [path.read_text() for path in folder.rglob(".terraform.lock.hcl")]
        assert locks
        assert all(re.search(f'version += "{version}"', text) for text in locks)


@pytest.mark.fault(19)
def test_a_stack_is_made_shown_and_destroyed(operator: Operator, tmp_path: Path) -> None:
    checked = operator.run("bake", "--check", "-v")
    fingerprint = re.search(r"\bfingerprint: '?([0-9a-f]{64})", checked)
    assert fingerprint, checked
    image = make_image(operator, fingerprint[1])
    receipts = operator.folder / ".ds_stack" / NAME / "receipts"
    receipts.mkdir(parents=True)
    (receipts / f"image-1_{image}.json").write_text(json.dumps(RECEIPT))

    with a_thread_for_the_machine(operator):
        site = operator.run("site")
        (machine,) = machines(operator)
        version = offer_a_newer_provider(operator)
        again = operator.run("site")
    assert re.search(rf"{NAME} is ready\..*^  Image +{image}, baked today$", site, re.MULTILINE | re.DOTALL)
    assert re.search(rf"^  Machine +{machine['InstanceId']} in {REGION}a$", site, re.MULTILINE)
    assert machine["ImageId"] == image
    assert " changed=0 " in again
    assert machines(operator)[0]["InstanceId"] == machine["InstanceId"]

    baked = operator.run("bake")
    assert f"{NAME}: an image was there, and nothing that shapes it has changed." in baked
    assert re.search(
        rf"^  Image +{image}, baked today\n  Verified +yes, its self-test has shown all\n  Name +image-1$",
        baked,
        re.MULTILINE,
    )
    assert "security update" not in site + baked
    bake_elsewhere(operator, image, tmp_path / "a colleague's")

    committed = look_at_the_tools(operator, version)
    look_at_the_lock(operator)

    ssm = operator.client("ssm")
    kept = ssm.get_parameters_by_path(Path=f"{PATH}/operator/passwords", WithDecryption=True)["Parameters"]
    passwords = {one["Name"].rpartition("/")[2]: one["Value"] for one in kept}
    assert set(passwords) == set(USERS)
    users = operator.run("users")
    for user, password in passwords.items():
        assert re.search(rf"^{user} +{re.escape(password)}$", users, re.MULTILINE)
        assert password not in site + again

    make_older(image, days=91)
    report(operator)  # what it said last may be minutes ago
    status = operator.run("status")
    assert re.search(rf"^  Image +{image}, baked 91 days ago$", status, re.MULTILINE)
    assert "The image is older than 90 days, and its system has had no security update since." in status
    assert """-e '{"ds_stack_relock": ["base"]}'""" in status
    assert f"\n{NAME}: ready\n" in status
    assert "It says      ready: All checks passed." in status
    assert "ok     jupyterhub: a stand-in says so" in status

    look_at_a_machine_that_is_not_well(operator)

    destroy_elsewhere(operator, tmp_path / "elsewhere", committed, version)
    assert machines(operator) == []
    left = listings.account(operator.client)
    # AWS goes on backing the homes up, which a plain destroy keeps.
    assert (left["profiles"], [role["RoleName"] for role in left["roles"]]) == (
        [],
        [f"ds-stack-{NAME}-{REGION}-backups"],
    )
    # The users' passwords live as long as their homes, which a plain destroy keeps, and with them the record.
    assert {one["Name"] for one in left["parameters"]} == {
        f"{PATH}/operator/stack",
        *(f"{PATH}/{kind}/{user}" for kind in ("operator/passwords", "machine/users") for user in USERS),
    }
    assert [one["ImageId"] for one in left["describe_images"]] == [image]
    own = {"Key": "ds-stack:name", "Value": NAME}
    # Not describe_tags: moto remembers the tags of what is gone.
    calls = listings.EC2_LISTS.keys() - {"describe_tags"}
    assert {call for call in calls if any(own in one.get("Tags", []) for one in left[call])} == {
        "describe_images",
        "describe_volumes",
    }
