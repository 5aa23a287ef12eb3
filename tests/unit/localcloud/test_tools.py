"""Which Terraform and Packer are used, and whether Packer needs the overlay."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from localcloud import preflight
from localcloud.errors import LocalCloudError
from localcloud.tools import choice, debian, machine, programs, vendor
from localcloud.tools.programs import OVERLAY, Program, look_at, overlay_for

NOTHING = "none there"


def program(folder: Path, name: str, says: str) -> Path:
    """Write a stand-in for a program that does nothing but say something."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def packer(version: str | None, path: str = "/bin/packer") -> Program:
    return Program(Path(path), tuple(map(int, version.split("."))) if version else None)


def way(version: str | None, path: str = "/bin/packer") -> choice.Way:
    """A way to this Packer, or to none."""

    def go() -> Program:
        if version is None:
            raise LocalCloudError(NOTHING)
        return packer(version, path)

    return go


def has_plugins(_: Program) -> None:
    """Every Packer has its plugins."""


def has_no_plugins(program: Program) -> None:
    raise LocalCloudError(f"{program} does not get its plugins")


def test_the_minimum_is_what_the_product_says() -> None:
    assert programs.minimum("packer") == (1, 11, 0)
    assert programs.minimum("terraform") == (1, 10)


@pytest.mark.parametrize(
    ("version", "overlay"),
    [("1.11.0", None), ("1.16.0", None), ("2.0.1", None), ("1.6.6", OVERLAY)],
)
def test_the_overlay_is_for_one_packer_only(version: str, overlay: Path | None) -> None:
    assert overlay_for(packer(version)) == overlay


@pytest.mark.parametrize("version", ["1.5.4", "1.6.5", "1.7.0", "1.8.7", "1.10.3", None])
def test_what_lies_between_takes_neither(version: str | None) -> None:
    with pytest.raises(LocalCloudError) as caught:
        overlay_for(packer(version))
    said = str(caught.value)
    assert "\n" not in said
    if version:
        assert said == (
            f"/bin/packer {version} can be used neither with the product's template, which needs Packer "
            "1.11.0 or later, nor with the local cloud's own, which is for 1.6.6 only"
        )
    else:
        assert said == "/bin/packer is another program than HashiCorp's Packer"


#: PATH's, the distribution's, the vendor's, Debian 12's → what is used.
TABLE = [
    (("1.16.0", "1.6.6", "1.16.0", "1.6.6"), "PATH's", None),
    (("1.11.0", None, None, None), "PATH's", None),
    (("1.6.6", None, "1.16.0", "1.6.6"), "PATH's", OVERLAY),
    ((None, "1.6.6", "1.16.0", "1.6.6"), "the distribution's", OVERLAY),
    ((None, "1.14.1", None, None), "the distribution's", None),
    ((None, None, "1.16.0", "1.6.6"), "the vendor's", None),
    ((None, None, None, "1.6.6"), "Debian 12's", OVERLAY),
    (("1.8.5", "1.6.6", None, "1.6.6"), "the distribution's", OVERLAY),
    (("1.8.5", None, "1.16.0", "1.6.6"), "the vendor's", None),
    (("1.10.3", "1.9.4", None, "1.6.6"), "Debian 12's", OVERLAY),
    (("1.6.5", None, None, "1.6.6"), "Debian 12's", OVERLAY),
]
PLACES = ("PATH's", "the distribution's", "the vendor's", "Debian 12's")


@pytest.mark.parametrize(("versions", "used", "overlay"), TABLE)
def test_the_first_packer_that_can_be_used_is(
    versions: tuple[str | None, ...], used: str, overlay: Path | None
) -> None:
    ways = [way(version, place) for version, place in zip(versions, PLACES, strict=True)]
    chosen = choice.packer(ways, has_plugins)
    assert str(chosen.program.path) == used
    assert overlay_for(chosen.program) == overlay
    assert len(chosen.passed_over) == PLACES.index(used)


def test_todays_packer_without_its_plugins_gives_way() -> None:
    ways = [way("1.16.0", "PATH's"), way(None), way("1.16.0", "the vendor's"), way("1.6.6", "Debian 12's")]
    chosen = choice.packer(ways, has_no_plugins)
    assert str(chosen.program.path) == "Debian 12's"
    assert chosen.passed_over == (
        "PATH's 1.16.0 does not get its plugins",
        NOTHING,
        "the vendor's 1.16.0 does not get its plugins",
    )


def test_without_any_one_sentence_says_what_to_do_and_why() -> None:
    with pytest.raises(LocalCloudError) as caught:
        choice.packer([way("1.8.5"), way(None)], has_plugins)
    said = str(caught.value)
    assert said.startswith("Install Packer 1.11.0 or later and put it on PATH. There is none to be used: ")
    assert "/bin/packer 1.8.5 can be used neither" in said
    assert said.endswith(f"; {NOTHING}.")


@pytest.mark.parametrize(
    ("version", "used"), [("1.10.0", "PATH's"), ("1.11.4", "PATH's"), ("1.9.8", "the vendor's")]
)
def test_terraform_is_paths_when_it_is_new_enough(version: str, used: str) -> None:
    chosen = choice.terraform([way(version, "PATH's"), way("1.15.9", "the vendor's")])
    assert str(chosen.program.path) == used


def test_without_terraform_one_sentence_says_what_to_do() -> None:
    with pytest.raises(LocalCloudError, match=r"^Install Terraform 1\.10 or later and put it on PATH\. "):
        choice.terraform([way(None)])


@pytest.mark.parametrize(
    ("name", "says", "version"),
    [
        ("packer", "echo Packer v1.6.6", (1, 6, 6)),
        ("packer", "echo 'Packer v1.16.0'; echo 'Your version of Packer is out of date!'", (1, 16, 0)),
        ("packer", "echo Packer v1.17.0-dev", (1, 17, 0)),
        ("packer", "cat", None),  # cracklib's, which waits for words
        ("packer", "exit 1", None),
        (
            "terraform",
            "echo Warning: no such file; echo Terraform v1.11.4; echo on linux_amd64",
            (1, 11, 4),
        ),
        ("terraform", "echo OpenTofu v1.12.6", None),
        ("terraform", 'echo "Terraform v1.${TF_CLI_ARGS_version:-15}.9"', (1, 15, 9)),
    ],
)
def test_a_program_is_what_it_says_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str, version: tuple[int, ...] | None
) -> None:
    monkeypatch.setenv("TF_CLI_ARGS_version", "-json")
    path = program(tmp_path, name, says)
    assert look_at(name, path) == Program(path, version)


def test_what_cannot_be_run_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "packer"
    path.write_bytes(b"\x7fELF of another processor")
    path.chmod(0o755)
    assert look_at("packer", path) == Program(path, None)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the project's own programs, first on a PATH with two folders of the machine's."""
    folder = tmp_path / "tools"
    for module in (programs, machine):
        monkeypatch.setattr(module, "TOOLS", folder)
    monkeypatch.setenv("PATH", os.pathsep.join(f"{tmp_path}/{name}" for name in ("tools/bin", "one", "two")))
    return folder


def test_the_projects_own_are_not_taken_for_paths(tools: Path, tmp_path: Path) -> None:
    program(tools / "bin", "packer", "echo Packer v1.6.6")
    first, second = (program(tmp_path / name, "packer", "exit 1") for name in ("one", "two"))
    assert programs.all_on_path("packer") == [first, second]
    assert programs.which("packer") == first


def test_a_link_is_there_only_where_path_does_not_do(tools: Path, tmp_path: Path) -> None:
    first, second = (program(tmp_path / name, "packer", "exit 1") for name in ("one", "two"))
    machine.link("packer", second, tools / "bin")
    assert (tools / "bin/packer").resolve() == second
    machine.link("packer", second, tools / "bin")
    assert [path.name for path in (tools / "bin").iterdir()] == ["packer"]
    machine.link("packer", first, tools / "bin")
    assert not list((tools / "bin").iterdir())


def test_what_was_fetched_comes_after_path_and_before_the_network(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted() -> Program:
        pytest.fail("nothing needs to be fetched")

    for name in ("_distributions_packer", "_vendors_packer", "_debians_packer"):
        monkeypatch.setattr(machine, name, unwanted)
    own = program(vendor.place(debian.PACKER, tools).parent, "packer", "echo Packer v1.6.6")
    assert machine.choose_packer().program.path == own
    program(tmp_path / "one", "packer", "echo Packer v1.9.1")
    assert machine.choose_packer().program.path == own
    newest = program(tmp_path / "two", "packer", "echo Packer v1.14.2")
    assert machine.choose_packer().program.path == newest


@pytest.mark.parametrize(
    ("policy", "version"),
    [
        ("packer:\n  Installed: (none)\n  Candidate: 1.6.6+ds2-1+b1\n  Version table:\n", (1, 6, 6)),
        ("packer:\n  Installed: (none)\n  Candidate: 1:1.16.0-1\n", (1, 16, 0)),
        ("packer:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n", None),
        ("", None),
    ],
)
def test_the_distributions_package(policy: str, version: tuple[int, ...] | None) -> None:
    assert machine._offered(policy) == version


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("", "the system's package sources have no package packer"),
        ("packer:\n  Candidate: 1.8.4-1\n", "the package packer 1.8.4 can be used neither"),
    ],
)
def test_a_package_that_is_of_no_use_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, policy: str, words: str
) -> None:
    ran: list[str] = []

    def run(*command: str, **_: object) -> str:
        ran.append(command[0])
        return policy

    monkeypatch.setattr(machine, "run", run)
    with pytest.raises(LocalCloudError, match=words):
        machine._distributions_packer()
    assert ran == ["apt-cache"]


def test_packers_plugins_are_fetched_for_the_products_template(tmp_path: Path) -> None:
    path = program(tmp_path, "packer", f'echo "$@" >{tmp_path}/asked')
    machine.fetch_plugins(Program(path, (1, 16, 0)))
    assert (tmp_path / "asked").read_text() == f"init {programs.REPOSITORY / 'packer'}\n"


def test_plugins_that_cannot_be_had_are_told_in_packers_words(tmp_path: Path) -> None:
    path = program(tmp_path, "packer", "echo Failed getting the amazon plugin; echo no such host >&2; exit 1")
    with pytest.raises(LocalCloudError) as caught:
        machine.fetch_plugins(Program(path, (1, 16, 0)))
    assert str(caught.value) == (
        f"{path} 1.16.0 does not get its plugins: no such host Failed getting the amazon plugin"
    )


@pytest.mark.parametrize(
    ("says", "overlay"), [("Packer v1.6.6", OVERLAY), ("Packer v1.12.0", None), ("Packer v1.16.0", None)]
)
def test_the_local_cloud_takes_what_path_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, overlay: Path | None
) -> None:
    path = program(tmp_path, "packer", f"echo {says}")
    monkeypatch.setenv("PATH", str(tmp_path))
    found, over = preflight.packer()
    assert (found.path, over) == (path, overlay)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ("", "packer is missing: put Packer 1.11.0 or later on PATH (make setup does)."),
        ("echo Packer v1.9.4", "which is for 1.6.6 only: put another on PATH (make setup does)."),
        ("exit 1", "is another program than HashiCorp's Packer: put another on PATH (make setup does)."),
    ],
)
def test_the_local_cloud_refuses_what_would_break_the_bake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, words: str
) -> None:
    if says:
        program(tmp_path, "packer", says)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalCloudError) as caught:
        preflight.packer()
    assert str(caught.value).endswith(words)
    assert "\n" not in str(caught.value)


def test_each_archive_is_pinned_for_both_processors() -> None:
    for release in (vendor.TERRAFORM, vendor.PACKER, debian.PACKER):
        assert set(release.sha256) == {"amd64", "arm64"}
        assert all(len(digest) == 64 for digest in release.sha256.values())
    assert programs.overlay_for(packer(debian.PACKER.version)) == OVERLAY
    assert programs.overlay_for(packer(vendor.PACKER.version)) is None
    programs.check_terraform(packer(vendor.TERRAFORM.version))


@pytest.mark.parametrize(
    ("machine_name", "arch"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("amd64", "amd64"), ("arm64", "arm64")],
)
def test_processors_go_by_two_names(machine_name: str, arch: str) -> None:
    assert vendor.architecture(vendor.PACKER.sha256, "packer", machine_name) == arch


def test_a_processor_without_a_pin_is_named() -> None:
    with pytest.raises(LocalCloudError, match="packer 1 is pinned for amd64 and arm64 and not for riscv64"):
        vendor.architecture(vendor.PACKER.sha256, "packer 1", "riscv64")


@pytest.mark.parametrize(
    ("target", "what"), [("demo", "demo"), ("demo-users", "demo"), ("test", "test"), ("lint", "test")]
)
def test_each_target_sets_up_what_it_needs(target: str, what: str) -> None:
    shown = subprocess.run(
        ["make", "--dry-run", target], cwd=programs.REPOSITORY, capture_output=True, text=True, check=True
    )
    assert [line for line in shown.stdout.splitlines() if "scripts/setup" in line] == [
        f"scripts/setup {what}"
    ]


def test_an_unknown_wish_is_refused_before_anything_is_done() -> None:
    done = subprocess.run(
        [programs.REPOSITORY / "scripts/setup", "everything"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "usage: scripts/setup [demo|test]\n")
