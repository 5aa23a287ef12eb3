"""What of a bake is shown on the console."""

from __future__ import annotations

from ansible_collections.iac.ds_stack.plugins.module_utils._packer.output import Event
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.progress import ProgressLines

A, B = "amazon-ebs.a", "null.b"


class Console:
    """The lines of a bake whose clock the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.progress = ProgressLines(self.lines.append, clock=lambda: self.now)

    def at(self, seconds: float, *events: Event) -> None:
        """Let time pass, as the supervisor does, then let something happen."""
        while self.now + 0.5 < seconds:
            self.now += 0.5
            self.progress.tick()
        self.now = seconds
        for event in events:
            self.progress.show(event)


def test_steps_have_the_time_and_the_build_where_there_are_several() -> None:
    console = Console()
    console.at(1.4, Event("step", A, "Launching a source AWS instance..."))
    console.at(20, Event("step", B, "Another build"))
    assert console.lines == [
        "  0:01  Launching a source AWS instance...",
        "  0:20  null.b: Another build",
    ]


def test_tasks_are_shown_that_do_something() -> None:
    console = Console()
    for name, result in [
        ("iac.ds_stack.base : Install packages", "changed"),
        ("iac.ds_stack.base : For others only", "skipping"),
        ("iac.ds_stack.base : Look", "ok"),
        ("Say a.b.c : and more", "fatal"),
    ]:
        console.at(console.now + 1, Event("task", A, name))
        console.at(console.now + 1, Event("result", A, result), Event("result", A, result))
    assert console.lines == ["  0:02    base : Install packages", "  0:08    Say a.b.c : and more"]


def test_a_task_that_takes_long_is_shown_before_its_end() -> None:
    console = Console()
    console.at(0, Event("task", A, "conda : Make the environment"))
    console.at(5)
    assert console.lines == ["  0:03    conda : Make the environment"]
    console.at(6, Event("result", A, "changed"), Event("task", A, "conda : Next"))
    assert len(console.lines) == 1


def test_silence_is_broken() -> None:
    console = Console()
    console.at(10, Event("step", A, "Waiting for AMI to become ready..."))
    console.at(101)
    assert console.lines == [
        "  0:10  Waiting for AMI to become ready...",
        "  0:40  Waiting for AMI to become ready ... 30 s so far",
        "  1:10  Waiting for AMI to become ready ... 1 min so far",
        "  1:40  Waiting for AMI to become ready ... 1 min 30 s so far",
    ]


def test_a_result_without_a_task_shows_nothing() -> None:
    console = Console()
    console.at(1, Event("result", A, "changed"))
    assert console.lines == []
