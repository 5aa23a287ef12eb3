"""What both generations of Packer print, recorded: the lines on the console, and why a bake failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.manifest import images_in
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.output import BuildReader
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.progress import ProgressLines

RECORDINGS = Path(__file__).parents[1] / "fixtures/packer"
BOTH = ("packer-1.16.0", "packer-1.6.6")


def replay(name: str, *, live: bool = True) -> tuple[BuildReader, list[str]]:
    """A recording as the supervisor sees it, in its own time or all at once; the lines without the time."""
    now = 0.0
    shown: list[str] = []
    reader, progress = BuildReader(), ProgressLines(shown.append, clock=lambda: now)
    began: int | None = None
    for line in (RECORDINGS / f"{name}.txt").read_text().splitlines():
        moment = line.partition(",")[0]
        if live and moment.isdigit():
            began = began or int(moment)
            while now + 0.5 < int(moment) - began:
                now += 0.5
                progress.tick()
        for event in reader.feed(line):
            progress.show(event)
    return reader, [line[8:] for line in shown]


@pytest.mark.fault(24)
@pytest.mark.parametrize("live", [True, False])
def test_a_whole_bake(live: bool) -> None:
    reader, lines = replay("packer-1.16.0/bake", live=live)
    assert len(lines) <= 60
    assert lines[:2] == [
        "Prevalidating any provided VPC information",
        "Prevalidating AMI Name: demo-20261127-184203",
    ]
    assert lines[-1] == "Running post-processor: (type manifest)"
    for step in ("Launching a source AWS instance...", "66 of 169 tasks changed something"):
        assert lines.count(step) == 1
    assert ("  conda : Run the installer" in lines) is live, "a task that takes long"
    told = "\n".join(lines)
    for output in ("status: done", "Adding tag", "sed: can't read", "ok=131", "Executing", "==>", "\\n"):
        assert output not in told
    assert all(line.strip() for line in lines)
    assert reader.failure() is None
    artifacts = images_in(artifact.identifier for artifact in reader.artifacts)
    assert artifacts == {"us-east-1": {"ami-2f06f9985a9ff85d6"}}
    assert reader.came_to_its_end
    assert reader.post_processors == {"manifest"}


@pytest.mark.fault(24)
@pytest.mark.parametrize("live", [True, False])
def test_a_bake_that_fails(live: bool) -> None:
    reader, lines = replay("packer-1.16.0/bake-fails", live=live)
    reason = (
        "Task 'iac.ds_stack.conda : Download the installer' failed: The checksum for /tmp/ansible-x did not"
    )
    assert len(lines) <= 60
    assert lines[-1].startswith(f"Failed: {reason}")
    assert "status: done" not in lines
    failure = str(reader.failure())
    assert failure.startswith(f"amazon-ebs.ds_stack: {reason} match 0000")
    assert failure.endswith("\nURL: http://100.64.113.1:5601/miniforge/Miniforge3-24.7.1-0-Linux-x86_64.sh")
    assert reader.artifacts == []


@pytest.mark.fault(24)
@pytest.mark.parametrize("packer", BOTH)
@pytest.mark.parametrize(
    ("name", "lines", "reason"),
    [
        (
            "script-fails",
            ["Running local shell script: /tmp/x", "Failed: Script exited with non-zero exit status: 3."],
            ["reading list", "the reason is on stdout", "and this on stderr"],
        ),
        (
            "sensitive",
            ["Running local shell script: /tmp/x", "Failed: Script exited with non-zero exit status: 1."],
            ["value "],
        ),
        (
            "post-processors",
            [
                "Running post-processor: (type shell-local)",
                "Running local shell script: /tmp/x",
                "Failed: 1 error(s) occurred:",
            ],
            ["in post", "* Post-processor failed: Script exited with non-zero exit status: 4."],
        ),
        (
            "script-succeeds",
            ["Running local shell script: /tmp/x", "Running post-processor: (type manifest)"],
            [],
        ),
    ],
)
def test_both_generations_show_the_same(packer: str, name: str, lines: list[str], reason: list[str]) -> None:
    reader, shown = replay(f"{packer}/{name}")
    assert [line.partition("Allowed")[0].strip() for line in shown] == lines
    failure = reader.failure() or ""
    assert bool(failure) is bool(reason)
    for words in reason:
        assert words in failure


def test_one_of_two_builds() -> None:
    reader, lines = replay("packer-1.16.0/two-builds-one-fails")
    assert lines[0] == "Running local shell script: /tmp/x"
    assert reader.failure() == (
        "null.b: Script exited with non-zero exit status: 5. Allowed exit codes are: [0]\n"
        "Its last lines:\n  b says why"
    ), "not those of the clean-up"


@pytest.mark.parametrize("packer", BOTH)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("validation", "The size must be above 5."),
        ("unknown-source", "Error: Unknown source type amazon-ebz"),
    ],
)
def test_what_packer_refuses(packer: str, name: str, words: str) -> None:
    reader, lines = replay(f"{packer}/{name}")
    assert lines == []
    assert words in str(reader.failure())
