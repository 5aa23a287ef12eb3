"""The manifest of Packer: only the last run counts."""

import json

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.manifest import (
    Build,
    ManifestError,
    image_of,
    read_manifest,
)


def manifest(*builds: tuple[str, str, str]) -> str:
    """A manifest as Packer writes it, of (name, artifact, run)."""
    return json.dumps(
        {
            "builds": [
                {
                    "name": name,
                    "builder_type": "amazon-ebs",
                    "build_time": 1795464818,
                    "files": None,
                    "artifact_id": artifact,
                    "packer_run_uuid": run,
                    "custom_data": None,
                    "from_a_later_version": {},
                }
                for name, artifact, run in builds
            ],
            "last_run_uuid": "two",
        }
    )


def test_only_the_last_run_counts() -> None:
    text = manifest(("a", "us-east-1:ami-1", "one"), ("a", "us-east-1:ami-2", "two"))
    assert read_manifest(text) == [Build("a", "us-east-1:ami-2")]


def test_an_image_copied_to_more_regions() -> None:
    builds = read_manifest(manifest(("a", "eu-west-1:ami-2,us-east-1:ami-1", "two")))
    assert image_of(builds, "us-east-1") == "ami-1"
    assert image_of(builds, "eu-west-1") == "ami-2"


@pytest.mark.parametrize(
    ("builds", "message"),
    [
        ([("a", "us-east-1:ami-1", "two")], "no image in eu-west-1. It made a: us-east-1:ami-1"),
        ([("a", "Null", "two")], "It made a: Null"),
        ([("a", "eu-west-1:ami-1", "one")], "It made nothing"),
        ([("a", "eu-west-1:ami-1", "two"), ("b", "eu-west-1:ami-2", "two")], "2 images in eu-west-1"),
    ],
)
def test_not_one_image_is_an_error(builds: list, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        image_of(read_manifest(manifest(*builds)), "eu-west-1")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"last_run_uuid": "x"}', '{"builds": [1], "last_run_uuid": 1}']
)
def test_what_is_no_manifest_is_an_error(text: str) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(text)
