"""Locks, requests and conda's answers: the pure part of module_utils/_software/conda."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._software.conda import (
    Changes,
    CondaError,
    LockError,
    Record,
    Request,
    clean_environment,
    differences,
    digest,
    explain,
    parse_explicit_list,
    parse_json,
    parse_lock,
    parse_package,
    planned_changes,
    spec_name,
    surplus_names,
    verify_local_files,
)

FIXTURES = Path(__file__).parents[1] / "fixtures/conda"
MD5 = "5347d9016da11412c919e7cedf891dae"
OTHER_MD5 = "60808599cb83c24dd94056f7766cef30"
ALPHA = f"https://conda.example/conda-forge/noarch/alpha-1.1-0.conda#{MD5}"
BETA = f"https://conda.example/conda-forge/linux-64/beta-tools-2.0-py312_1.tar.bz2#{OTHER_MD5}"


def answer(name: str) -> dict[str, object]:
    data: dict[str, object] = json.loads((FIXTURES / f"{name}.json").read_text())
    return data


def lock(*lines: str) -> str:
    return "\n".join(["# platform: linux-64", "@EXPLICIT", *lines])


def test_a_line_is_taken_apart() -> None:
    package = parse_package(BETA)
    assert package.as_result() == {
        "name": "beta-tools",
        "version": "2.0",
        "build": "py312_1",
        "channel": "https://conda.example/conda-forge",
    }
    assert package.line == BETA
    assert package.label == "beta-tools-2.0-py312_1"


def test_a_version_with_an_epoch_is_unquoted() -> None:
    assert parse_package(f"https://x.example/c/noarch/a-1%211.0-0.conda#{MD5}").version == "1!1.0"


@pytest.mark.parametrize("spec", ["", " ", "--yes", "-p=/"])
def test_a_spec_is_no_option(spec: str) -> None:
    with pytest.raises(CondaError, match=r"^specs: .* is no package\.$"):
        Request.of(["a", spec], [], True)


def test_an_md5_in_upper_case_is_the_same() -> None:
    assert parse_package(ALPHA.replace(MD5, MD5.upper())) == parse_package(ALPHA)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ALPHA, "needs the line @EXPLICIT"),
        (lock(), "is not an explicit lock"),
        (lock("https://conda.example/conda-forge/noarch/alpha-1.1-0.conda"), "line 3 has no MD5"),
        (lock(ALPHA.replace(MD5, "a" * 64)), "line 3 has no MD5"),
        (lock(f"alpha=1.1#{MD5}"), "line 3 is not the URL of a conda package"),
        (lock(ALPHA, "", ALPHA), "line 5: alpha is already in the lock"),
    ],
)
def test_a_lock_that_cannot_be_used_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(LockError, match=says):
        parse_lock(text, "x.lock")


def test_the_same_file_from_another_server_is_no_difference() -> None:
    here = parse_lock(lock(ALPHA), "here")
    there = parse_lock(lock(ALPHA.replace("conda.example", "mirror.example")), "there")
    assert not differences(here, there)
    assert digest(here) == digest(there)


def test_the_same_name_with_another_md5_is_a_difference() -> None:
    here = parse_lock(lock(ALPHA), "here")
    rebuilt = parse_lock(lock(ALPHA.replace(MD5, OTHER_MD5)), "there")
    assert differences(here, rebuilt) == Changes(("alpha-1.1-0",), ("alpha-1.1-0",))
    assert digest(here) != digest(rebuilt)


def test_surplus_is_what_no_version_of_is_in_the_lock() -> None:
    installed = parse_explicit_list(lock(ALPHA.replace("1.1", "1.0"), BETA))
    assert surplus_names(installed, parse_lock(lock(ALPHA), "x")) == ["beta-tools"]


def test_the_plan_of_a_dry_run() -> None:
    assert planned_changes(answer("create_dry_run")) == Changes(("alpha-1.1-0", "beta-2.0-0"))
    assert not planned_changes(answer("nothing_to_do"))


def test_a_package_that_is_relinked_as_it_was_is_no_change() -> None:
    record = {"dist_name": "alpha-1.1-0"}
    assert not planned_changes({"actions": [{"LINK": [record], "UNLINK": [record]}]})


def test_a_package_that_is_not_found_is_named_with_the_channels() -> None:
    message = explain(answer("packages_not_found"))
    assert "no package nope in file:///srv/chan." in message
    assert "add the channel" in message


def test_conflicts_come_in_condas_words() -> None:
    assert "gamma -> alpha[version='<1.1']" in explain(answer("unsatisfiable"))


def test_repeated_errors_are_said_once() -> None:
    message = explain(answer("checksum_mismatch"))
    assert message.count("expected md5: 5347d9016da11412c919e7cedf891da0") == 1


def test_an_error_without_words_is_still_an_error() -> None:
    assert explain({}) == "conda gave no reason"


def test_a_request_ignores_the_order_of_specs_but_not_of_channels() -> None:
    assert Request.of(["b", "a", "a"], [], True) == Request.of(["a", "b"], [], False)
    assert Request.of(["a"], ["x", "y"], True) != Request.of(["a"], ["y", "x"], True)


def test_a_request_on_the_command_line() -> None:
    assert Request.of(["b", "a"], ["x"], True).arguments() == [
        "--channel",
        "x",
        "--override-channels",
        "a",
        "b",
    ]
    assert Request.of(["a"], [], True).arguments() == ["a"]


@pytest.mark.parametrize(
    "channel", ["https://ada:hunter2@conda.example/x", "https://conda.example/t/hunter2/x"]
)
def test_a_channel_with_a_secret_never_gets_on_a_command_line(channel: str) -> None:
    with pytest.raises(CondaError, match="carries a password or a token") as error:
        Request.of(["a"], [channel], True)
    assert "hunter2" not in str(error.value)


def test_a_record_survives_its_file_and_others_are_unknown() -> None:
    record = Record(Request.of(["a"], ["x"], True), "d" * 64)
    assert Record.from_text(record.to_text()) == record
    for text in ("", "{}", "[]", '{"schema": 99}', '{"schema": 1}'):
        assert Record.from_text(text) is None


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("numpy", "numpy"),
        ("NumPy=1.26", "numpy"),
        ("conda-forge::numpy>=2,<3", "numpy"),
        ("numpy [build=py312*]", "numpy"),
        ("r-base ~=4.4", "r-base"),
        ("python!=3.9", "python"),
    ],
)
def test_the_name_in_a_spec(spec: str, name: str) -> None:
    assert spec_name(spec) == name


def test_json_after_progress() -> None:
    assert parse_json('{"fetch":"a","progress":1}\n\0{"success": true}') == {"success": True}
    assert parse_json("Traceback ...") is None
    assert parse_json("[]") is None


def test_nothing_of_the_callers_python_or_conda_gets_in() -> None:
    dirty = {
        "CONDA_PREFIX": "/x",
        "CONDA_SOLVER": "x",
        "_CE_CONDA": "x",
        "MAMBA_ROOT_PREFIX": "/x",
        "PYTHONPATH": "/x",
        "PYTHONHOME": "/x",
        "LD_LIBRARY_PATH": "/x",
        "PATH": "/usr/bin",
        "HOME": "/root",
        "HTTPS_PROXY": "http://proxy.example",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }
    clean = clean_environment(dirty)
    assert {name for name in dirty if name in clean} == {"PATH", "HOME", "HTTPS_PROXY", "SSL_CERT_FILE"}
    assert clean["CONDA_REPORT_ERRORS"] == "false"


def test_files_on_this_machine_are_checked_against_the_lock(tmp_path: Path) -> None:
    file = tmp_path / "noarch" / "alpha-1.1-0.conda"
    file.parent.mkdir()
    file.write_bytes(b"x")
    right = parse_package(f"{file.as_uri()}#9dd4e461268c8034f5c8564e155c67a6")
    verify_local_files([right, parse_package(BETA)])
    with pytest.raises(
        CondaError, match=f"has the MD5 9dd4e461268c8034f5c8564e155c67a6, the lock says {MD5}"
    ):
        verify_local_files([parse_package(f"{file.as_uri()}#{MD5}")])
    file.unlink()
    with pytest.raises(CondaError, match="cannot be read: No such file"):
        verify_local_files([right])
