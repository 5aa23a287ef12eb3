"""The installer script, with a payload whose Python is a shell script that writes down how it is called."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from localcloud.mirror import installer

PYTHON = """\
#!/bin/sh
prefix=
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix) prefix=$2 ;;
        --file) cp "$2" "$prefix/explicit-as-given" ;;
    esac
    shift
done
mkdir -p "$prefix/bin"
printf '#!/bin/sh\\n' >"$prefix/bin/conda"
chmod 755 "$prefix/bin/conda"
"""


def make_installer(folder: Path, python: str = PYTHON) -> Path:
    files = {
        "condarc": (b"solver: classic\n", 0o644),
        "packages/a-1-0.conda": (b"a", 0o644),
        "packages/explicit": (b"a-1-0.conda#0cc175b9c0f1b6a831c399e269772661\n", 0o644),
        "python/bin/python": (python.encode(), 0o755),
    }
    payload = io.BytesIO()
    with tarfile.open(fileobj=payload, mode="w:gz") as tar:
        for name, (data, mode) in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    script = folder / "Miniforge3-1-Linux-x86_64.sh"
    text = installer.SCRIPT.read_text(encoding="utf-8").replace("@VERSION@", "1-0")
    script.write_bytes(text.encode() + payload.getvalue())
    return script


def run(script: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(script), *options], capture_output=True, text=True, check=False, timeout=60
    )


def test_it_calls_itself_a_stand_in(tmp_path: Path) -> None:
    done = run(make_installer(tmp_path), "-h")
    assert done.returncode == 2
    assert "Miniforge3 1-0 (offline mirror build of iac.ds_stack)" in done.stdout


def test_it_installs_with_miniforges_options(tmp_path: Path) -> None:
    prefix = tmp_path / "deep/conda"
    done = run(make_installer(tmp_path), "-b", "-p", str(prefix))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"PREFIX={prefix}" in done.stdout
    assert "installation finished." in done.stdout
    package = prefix / "pkgs/a-1-0.conda"
    assert (
        prefix / "explicit-as-given"
    ).read_text() == f"@EXPLICIT\n{package}#0cc175b9c0f1b6a831c399e269772661\n"
    assert (prefix / "conda-meta/history").exists()
    assert not (prefix / ".bootstrap").exists()


@pytest.mark.parametrize("options", [["-u"], ["-f"], ["-u", "-f"]])
def test_it_keeps_the_configuration_of_an_existing_installation(tmp_path: Path, options: list[str]) -> None:
    prefix = tmp_path / "conda"
    prefix.mkdir()
    (prefix / ".condarc").write_text("mine\n")
    assert run(make_installer(tmp_path), "-b", *options, "-p", str(prefix)).returncode == 0
    assert (prefix / ".condarc").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "run it with -b"),
        (["-b", "-p", "."], "already exists"),
        (["-b", "-p", "/nowhere/a b"], "must not contain spaces"),
        (["-b", "-s"], "has no option -s"),
        (["-b", "-z"], "usage:"),
    ],
)
def test_it_refuses_what_it_cannot_do(tmp_path: Path, options: list[str], message: str) -> None:
    done = run(make_installer(tmp_path), *options)
    assert done.returncode == 1
    assert message in done.stderr


def test_a_failed_installation_fails_and_cleans_up(tmp_path: Path) -> None:
    done = run(make_installer(tmp_path, "#!/bin/sh\nexit 7\n"), "-b", "-p", str(tmp_path / "conda"))
    assert done.returncode != 0
    assert "installation finished." not in done.stdout
    assert not (tmp_path / "conda/.bootstrap").exists()
