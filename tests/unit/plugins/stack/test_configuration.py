"""The rules about a stack's configuration, and the one list of variables that they come from."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import configuration_files as files
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.configuration import find_problems
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.configuration_rules import (
    INSTANCE_TYPE,
    XEN_FAMILIES,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.configuration_types import Checker
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.locales import LOCALES
from moto.ec2.models.instance_types import INSTANCE_TYPES

HERE = Path(__file__).resolve().parents[1]
ROLES = HERE.parents[2] / "roles"


def options_of(role: str, entry_point: str) -> dict[str, Any]:
    spec = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return dict(spec.get(entry_point, {}).get("options", {}))


OPTIONS = options_of("preflight", "configuration")
ROLE_OPTIONS = {
    name: option for role in ROLES.iterdir() for name, option in options_of(role.name, "main").items()
}
DEFAULTS = yaml.safe_load((ROLES / "preflight/defaults/main.yml").read_text())
ODD = yaml.safe_load((HERE / "odd_configurations.yml").read_text())
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ada@laptop"
DAY = datetime.date(2026, 1, 1)
PRIVATE_KEY = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nc2VjcmV0\n"


def problems(**values: Any) -> list[str]:
    given = {"name": "demo", "region": "eu-central-1", **values}
    return find_problems(
        OPTIONS, {f"ds_stack_{name}": value for name, value in given.items()}, role_options=ROLE_OPTIONS
    )


def test_a_name_is_enough() -> None:
    assert find_problems(OPTIONS, {"ds_stack_name": "demo"}) == []


def test_the_defaults_are_accepted() -> None:
    known = {name: value for name, value in DEFAULTS.items() if "{{" not in str(value)}
    assert find_problems(OPTIONS, {"ds_stack_name": "demo", **known}, role_options=ROLE_OPTIONS) == []


@pytest.mark.parametrize("name", ["minimal", "team", "localcloud", "cluster"])
def test_the_examples_are_accepted(name: str) -> None:
    example = yaml.safe_load((ROLES.parent / f"examples/{name}.yml").read_text())
    assert find_problems(OPTIONS, example, role_options=ROLE_OPTIONS) == []


def test_a_whole_configuration_is_accepted(tmp_path: Path) -> None:
    assert (
        problems(
            users=[{"name": "ada", "ssh_keys": [KEY]}, {"name": "grace-h"}, {"name": "edsger_w"}],
            allowed_cidrs=["198.51.100.0/24", "198.51.100.7/32", "10.0.0.0/8"],
            components=["jupyterhub"],
            operator_key="arn:aws:kms:eu-central-1:123456789012:alias/mine",
            state_settings={"skip_requesting_account_id": True},
            data_volume_size=500,
            root_volume_size="30",
            static_ip="yes",
            policy_arns=[
                "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
                "arn:aws:iam::aws:policy/service-role/X",
            ],
            permissions_boundary="arn:aws:iam::123456789012:policy/path/boundary",
            kms_key_id="arn:aws:kms:eu-central-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
            subnet_id="subnet-0123456789abcdef0",
            bake_subnet_id="subnet-01234567",
            availability_zone="eu-central-1c",
            timezone="Europe/Berlin",
            locale="de_DE.UTF-8",
            tls="self_signed",
            instance_type="u7i-12tb.224xlarge",
            python_packages=[
                "pandas >=2, <3",
                "numpy 2.1 py312*",
                "pytorch=2.*=cuda*",
                "conda-forge::polars~=1.2",
            ],
            system_packages=["g++", "libc6:amd64", "git=1:2.*", "git/stable"],
            bake_instance_type="t2.medium",
            tags={"team": "Forschung & Lehre".replace("&", "+"), "cost-centre": "4711", "empty": ""},
            base_image={"owner": "123456789012", "name": "debian-12-*", "ssh_username": "admin"},
            dir=str(tmp_path / "not/there/yet"),
            lock_file=str(tmp_path / "ds_stack.lock.yml"),
            packer_overlay=str(tmp_path),
            image_variables={
                "jupyterhub_memory_limit": "50%",
                "r_packages": ["dplyr>=1.1", "data.table"],
                "base_packages": ["git", "libfoo1=1.2-3~deb12u1"],
                "r_snapshot_date": "2026-11-01",
                "jupyterhub_cpu_limit": 1.5,
                "jupyterhub_extra_config": "c.a = 1\nc.b = 2\n",
                "r_reticulate_python": "",
                "rstudio_server_version": "2026.08.2+200",
                "rstudio_server_checksum": "sha256:" + "0" * 64,
            },
            downloads={"base_ssm_agent": False, "first_boot_aws_endpoint_url": "http://100.64.113.1:5000"},
        )
        == []
    )


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: str(odd["given"])[:60])
def test_each_odd_configuration_gets_its_sentence(odd: dict[str, Any]) -> None:
    assert problems(**odd["given"]) == [odd["said"]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"allowed_cidrs": [f"10.{number}.0.0/24" for number in range(31)]},
            "ds_stack_allowed_cidrs: 31 networks for 2 ports are 62 rules, and a security group holds 60. "
            "Name fewer and wider networks.",
        ),
        (
            {"bake_source_cidrs": [f"10.{number}.0.0/24" for number in range(61)]},
            "ds_stack_bake_source_cidrs: 61 networks for 1 port are 61 rules, and a security group holds 60. "
            "Name fewer and wider networks.",
        ),
        (
            {"tags": {f"k{number}": "v" for number in range(41)}},
            "ds_stack_tags: 41 tags are too many. AWS takes 50, of which the stack needs some itself: take "
            "40 or fewer.",
        ),
        (
            {"tags": {"k" * 129: "v"}},
            f"ds_stack_tags: AWS takes no key '{'k' * 60}…' here. Write 1 to 128 letters, digits and + = . _ "
            ": @ - without spaces.",
        ),
        ({"tags": {"k": "v" * 257}}, "ds_stack_tags: the value of 'k' has 257 characters. Take at most 256."),
        (
            {"policy_arns": [f"arn:aws:iam::aws:policy/p{number}" for number in range(11)]},
            "ds_stack_policy_arns: 11 policies are more than the 10 that a role can have. Put some of them "
            "together.",
        ),
    ],
)
def test_too_many_and_too_long(given: dict[str, Any], said: str) -> None:
    assert problems(**given) == [said]


def test_what_no_parameter_can_hold() -> None:
    assert problems(users=[{"name": f"user-{number}"} for number in range(200)]) == [
        "ds_stack_users: 200 users are more than one machine can be told of. Name fewer."
    ]
    keys = [f"{KEY}-{number:030}" for number in range(40)]
    size = len("\n".join(keys))
    assert problems(users=[{"name": "ada", "ssh_keys": keys}]) == [
        f"ds_stack_users: The SSH keys of 'ada' take {size} bytes, and a parameter holds 4096. Name fewer, "
        "or shorter ones: an ed25519 key takes about 100."
    ]


def test_what_just_fits_is_accepted() -> None:
    assert (
        problems(
            components=["rstudio"],
            allowed_cidrs=[f"10.{number}.0.0/24" for number in range(60)],
            bake_source_cidrs=[f"10.{number}.0.0/24" for number in range(60)],
            tags={f"k{number}": "v" * 256 for number in range(40)},
            policy_arns=[f"arn:aws:iam::aws:policy/p{number}" for number in range(10)],
            root_volume_size=65536,
            data_volume_size=1,
            vpc_cidr="10.0.0.0/24",
        )
        == []
    )


OTHER_TYPES: dict[str, list[Any]] = {
    "bool": ["", "maybe", "y", " true", 5, 1.5, [], {}, DAY],
    "int": ["", "big", "1.5", "1e3", "0x10", "9" * 30, 1.5, True, -1, 10**15, [], {}],
    "str": ["", " ", "ä", "a\nb", "x" * 300, "-x", "UPPER CASE", True, 5, 1.5, [], {}, ["a"], DAY],
    "path": ["", "a\nb", "relative", "~/x", "$HOME/x", True, 5, 1.5, [], {}],
    "list": ["", "a,b", 5, 1.5, True, {}, {"a": 1}, [None], [[]], [""], [5], [True], ["ä\n"]],
    "dict": ["", "a=b", 5, 1.5, True, [], [{}], {1: "a"}, {True: "b"}, {None: "c"}, {1.5: "d"}],
}


@pytest.mark.parametrize("name", [name for name in OPTIONS if name.startswith("ds_stack_")])
def test_every_variable_answers_every_wrong_type_in_one_sentence(name: str) -> None:
    for value in (None, *OTHER_TYPES[OPTIONS[name]["type"]]):
        (said,) = problems(**{name.removeprefix("ds_stack_"): value})
        assert said.startswith(name), value
        assert said.isprintable(), value
        assert said.endswith((".", "?")), value


def test_every_variable_of_a_role_answers_a_wrong_type() -> None:
    for name in ROLE_OPTIONS:
        for value in (None, object()):
            (said,) = problems(image_variables={name: value})
            assert said.startswith(f"ds_stack_image_variables.{name}")


def test_texts_from_a_command_line_become_what_they_mean() -> None:
    given = {
        "ds_stack_data_volume_size": "100",
        "ds_stack_static_ip": "yes",
        "ds_stack_allow_world": "no",
        "ds_stack_destroy_data": "FALSE",
        "ds_stack_check_rights": 0,
    }
    checker = Checker()
    assert checker.check(OPTIONS, given) == {
        "ds_stack_data_volume_size": 100,
        "ds_stack_static_ip": True,
        "ds_stack_allow_world": False,
        "ds_stack_destroy_data": False,
        "ds_stack_check_rights": False,
    }
    assert checker.problems == []


@pytest.mark.parametrize("where", ["ssh_keys", "name"])
def test_a_private_key_is_never_shown(where: str) -> None:
    for value in (PRIVATE_KEY, [PRIVATE_KEY], [[PRIVATE_KEY]], {"key": PRIVATE_KEY}):
        for said in problems(users=[{"name": "ada", where: value}]):
            assert "c2VjcmV0" not in said


def test_whole_private_keys_among_the_users_are_not_shown() -> None:
    (said,) = problems(users=[PRIVATE_KEY])
    assert said == "ds_stack_users (entry 1) is a text and has to be a dict. Write {name: ...}."


def test_instance_types_are_judged_as_aws_describes_them() -> None:
    for name, facts in INSTANCE_TYPES.items():
        found = INSTANCE_TYPE.fullmatch(name)
        assert found, name
        assert (facts.get("Hypervisor") == "xen") <= (found["family"] in XEN_FAMILIES), name
        said = problems(instance_type=name)
        runs_x86 = "x86_64" in facts["ProcessorInfo"]["SupportedArchitectures"]
        fits = runs_x86 and facts.get("Hypervisor") != "xen" and not name.startswith("mac")
        fits = fits and facts["MemoryInfo"]["SizeInMiB"] > 1024
        if found["family"] not in XEN_FAMILIES or fits is False:
            assert (said == []) is fits, name


@pytest.mark.parametrize("name", ["i3.metal", "m5.metal", "g4dn.xlarge", "p3dn.24xlarge", "c7i-flex.large"])
def test_types_of_the_nitro_system(name: str) -> None:
    assert problems(instance_type=name) == []


@pytest.mark.parametrize("name", ["C.UTF-8", "C.utf8", "en_US.UTF-8", "zh_TW.UTF-8", "ast_ES.utf8"])
def test_locales(name: str) -> None:
    assert problems(locale=name) == []
    assert len(LOCALES) == 151


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "Etc/GMT-1", "America/Argentina/Ushuaia", "Asia/Kolkata"])
def test_time_zones(name: str) -> None:
    assert problems(timezone=name) == []


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "Mars/Phobos"])
def test_without_a_list_of_time_zones_the_form_is_looked_at(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_time_zones", frozenset)
    monkeypatch.setattr(files, "_old_time_zones", dict)
    assert problems(timezone=name) == []
    assert problems(timezone="Berlin") == [
        "ds_stack_timezone: the machine has no time zone 'Berlin'. Write it like Europe/Berlin."
    ]


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "loop").symlink_to(tmp_path / "nowhere")
    assert problems(dir=str(file)) == [f"ds_stack_dir: {file} is no folder. Name another path."]
    assert problems(dir=f"{file}/below") == [f"ds_stack_dir: {file} is no folder. Name another path."]
    assert problems(dir=f"{tmp_path}/loop/x") == [
        f"ds_stack_dir: {tmp_path}/loop is no folder. Name another path."
    ]
    assert problems(lock_file=str(tmp_path)) == [
        f"ds_stack_lock_file: {tmp_path} is a folder. Name a file in it."
    ]
    assert problems(lock_file=f"{file}/lock.yml") == [
        f"ds_stack_lock_file: {file} is no folder. Name another path."
    ]
    assert problems(packer_overlay=str(file)) == [
        f"ds_stack_packer_overlay: there is no folder {file}. Make it, or leave this out."
    ]
    assert problems(dir="/" + "x" * 300) == [
        f"ds_stack_dir: /{'x' * 59}… cannot be looked at (File name too long). Name another path."
    ]
    for text, whole in (("stacks", Path.cwd() / "stacks"), ("~/stacks", Path("~/stacks").expanduser())):
        assert problems(dir=text) == [
            f"ds_stack_dir: '{text}' is not a whole path. Write it from / on, such as {whole}."
        ]


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, and the tests may run as root."""
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != tmp_path)
    said = f"{tmp_path} cannot be written to by you. Name another path, or mend its rights."
    assert problems(dir=f"{tmp_path}/a/b", lock_file=f"{tmp_path}/lock.yml") == [
        f"ds_stack_dir: {said}",
        f"ds_stack_lock_file: {said}",
    ]
    given = {"ds_stack_name": "demo", "ds_stack_dir": f"{tmp_path}/a"}
    assert find_problems(OPTIONS, given, writes=False) == []
    assert len(find_problems(OPTIONS, {**given, "ds_stack_timezone": "Mars/X"}, writes=False)) == 1


BASE = {"image_id": "ami-0123456789abcdef0", "name": "n", "os": "debian-12", "owner": "1", "region": "r"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "it is no YAML"),
        ("\xff", "it is no YAML"),
        ("", "it is no lock of a stack"),
        ("- a", "it is no lock of a stack"),
        (
            "schema: 2\nbase_image: {ami: 1}",
            "it has schema 2, which takes the version of the collection that wrote it",
        ),
        ("base_image: ami-1", "its base_image is not whole"),
        (yaml.safe_dump({"base_image": {**BASE, "owner": 136693071363}}), "its base_image is not whole"),
        (yaml.safe_dump({"base_image": {**BASE, "image_id": ""}}), "its base_image is not whole"),
        (yaml.safe_dump({"base_image": {"image_id": "ami-01234567"}}), "its base_image is not whole"),
        (yaml.safe_dump({"base_image": {**BASE, "image_id": "snap-1"}}), "its base_image has no image's id"),
    ],
)
def test_a_damaged_lock(tmp_path: Path, content: str, said: str) -> None:
    lock = tmp_path / "ds_stack.lock.yml"
    lock.write_bytes(content.encode("latin-1"))
    assert problems(lock_file=str(lock)) == [
        f"ds_stack_lock_file: {lock} pins nothing: {said}. Get it back from version control, remove it to "
        "pin anew, or name another file."
    ]


def test_a_lock_that_pins_an_image_is_accepted(tmp_path: Path) -> None:
    lock = tmp_path / "ds_stack.lock.yml"
    lock.write_text(yaml.safe_dump({"schema": 1, "base_image": BASE}))
    assert problems(lock_file=str(lock)) == []
    lock.write_text("schema: '1'\n")  # by a tool that quotes
    assert problems(lock_file=str(lock)) == []


def test_values_that_cannot_be_worked_out() -> None:
    failures = {
        "ds_stack_users": "'my_users' is undefined",
        "ds_stack_tags": "Syntax error in template:\n  unexpected end",
        "ds_stack_timezone": "A template was resolved to an Omit scalar.",
    }
    assert find_problems(OPTIONS, {"ds_stack_name": "demo"}, failures=failures) == [
        "ds_stack_tags cannot be worked out: Syntax error in template: unexpected end.",
        "ds_stack_timezone: omit is for an option of a task. Leave the variable out instead.",
        "ds_stack_users cannot be worked out: 'my_users' is undefined.",
    ]


def test_what_is_missing_is_told_once() -> None:
    failures = {"ds_stack_dir": "'ds_stack_name' is undefined"}
    assert find_problems(OPTIONS, {}, failures=failures) == [
        "ds_stack_name is missing. Set it in your file of variables, or with -e ds_stack_name=..."
    ]


def test_a_default_that_depends_on_the_same_is_told_with_it() -> None:
    failures = {"ds_stack_dir": "'nope' is undefined", "ds_stack_name": "'nope' is undefined"}
    assert find_problems(OPTIONS, {}, failures=failures) == [
        "ds_stack_dir and ds_stack_name cannot be worked out: 'nope' is undefined."
    ]


def test_all_mistakes_are_told_at_once() -> None:
    found = problems(
        name="Demo", allowed_cidrs=["0.0.0.0/0", "10.0.0.1"], users=[{"name": "Ada"}], tls=False, nmae="x"
    )
    assert [said.replace(":", " ").split()[0] for said in found] == [
        "ds_stack_nmae",
        "ds_stack_tls",
        "ds_stack_name",
        "ds_stack_users",
        "ds_stack_allowed_cidrs",
        "ds_stack_allowed_cidrs",
    ]


@pytest.mark.parametrize("cidrs", [["0.0.0.0/1", "128.0.0.0/1"], ["0.0.0.0/0"], ["64.0.0.0/2", "10.0.0.0/8"]])
def test_wide_networks_are_told_also_together(cidrs: list[str]) -> None:
    (said,) = problems(allowed_cidrs=cidrs)
    to = "64.0.0.0/2" if "64.0.0.0/2" in cidrs else "the whole internet"
    assert said == (
        f"ds_stack_allowed_cidrs opens the machine to {to}. Name your own networks, or set "
        "ds_stack_allow_world to true if that is what you want."
    )


@pytest.mark.parametrize("networks", [["0.0.0.0/0"], ["0.0.0.0/1", "128.0.0.0/1"]])
def test_the_whole_internet_takes_its_second_switch(networks: list[str]) -> None:
    assert problems(allowed_cidrs=networks, allow_world=True) == []


def test_a_network_of_ones_own_takes_no_switch() -> None:
    assert problems(allowed_cidrs=["10.0.0.0/8", "192.168.0.0/16"]) == []


def test_documented_defaults_are_the_real_ones() -> None:
    documented = {name: option["default"] for name, option in OPTIONS.items() if "default" in option}
    computed = {name for name, value in DEFAULTS.items() if isinstance(value, str) and "{{" in value}
    assert documented.items() <= DEFAULTS.items()
    assert DEFAULTS.keys() - documented.keys() - computed - {"ds_stack_base_image"} == set()
