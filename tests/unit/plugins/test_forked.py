"""A module's work in a fork of the process that asks for it."""

from __future__ import annotations

import json
import os
import re
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform_options import COMMON, Ending
from ansible_collections.iac.ds_stack.plugins.plugin_utils import forked

SECRET = "correct-horse-battery"


def ending(**result: Any) -> Ending:
    return Ending(result, [], set())


@pytest.fixture
def unwanted() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def test_the_result_comes_back_with_warnings_and_without_secrets(unwanted: int) -> None:
    values = {
        "changed": True,
        "text": f"it is {SECRET}",
        "big": 2**70,
        "none": None,
        "unicode": "Grüße \udc80",
    }
    work = lambda: Ending(values, ["beware"], {SECRET})  # noqa: E731
    assert forked.start(work, {}, unwanted)() == {
        **values,
        "text": "it is ********",
        "warnings": ["beware"],
    }
    assert "warnings" not in forked.start(ending, {}, os.dup(unwanted))()


def test_it_is_a_process_of_its_own_and_lets_go_of_what_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    lease = (tmp_path / "lease").open("w")

    def work() -> Ending:
        links = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return ending(
            pid=os.getpid(),
            group=os.getpgid(0),
            leases=links.count(tmp_path / "lease"),
            stdout=str(Path("/proc/self/fd/1").readlink()),
            variable=os.environ["COLOUR"],
            temporary=tempfile.gettempdir(),
            handlers=[
                signal.getsignal(number) == signal.SIG_DFL for number in (signal.SIGTERM, signal.SIGALRM)
            ],
        )

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        found = forked.start(work, {"COLOUR": "blue", "TMPDIR": str(tmp_path)}, lease.fileno())()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found["pid"] != os.getpid()
    assert found["group"] == os.getpgid(0)
    assert found["leases"] == 0
    assert found["stdout"].startswith("pipe:")
    assert (found["variable"], found["temporary"]) == ("blue", str(tmp_path))
    assert found["handlers"] == [True, True]
    assert "COLOUR" not in os.environ


def test_an_exception_is_a_failure_with_its_place(unwanted: int) -> None:
    def work() -> Ending:
        raise ValueError("unheard of")

    result = forked.start(work, {}, unwanted)()
    assert (result["failed"], result["msg"]) == (True, "ValueError: unheard of")
    assert "in work" in result["exception"]


def test_a_fork_that_is_killed_is_a_failure(unwanted: int) -> None:
    def work() -> Ending:
        os.kill(os.getpid(), signal.SIGKILL)
        return ending()

    result = forked.start(work, {}, unwanted)()
    assert result["failed"] is True
    assert "which did the work of the module, was killed" in result["msg"]


def test_a_background_process_does_not_keep_the_result_back(unwanted: int) -> None:
    def work() -> Ending:
        if os.fork() == 0:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)  # as `_process.run` and every daemon does
            time.sleep(5)
            os._exit(0)
        return ending(done=True)

    began = time.monotonic()
    assert forked.start(work, {}, unwanted)() == {"done": True}
    assert time.monotonic() - began < 4


def test_arguments_are_what_a_module_would_get() -> None:
    arguments = {"text": "a", "big": 2**70, "nested": {"list": [True, None, {"x": ("y",)}]}}
    plain = forked.plain_arguments(arguments)
    assert plain == {**arguments, "nested": {"list": [True, None, {"x": ["y"]}]}}


def given(arguments: dict[str, Any]) -> Ending:
    program = forked.Program(COMMON, lambda parameters, **modes: ending(parameters=parameters, modes=modes))
    return program.run("iac.ds_stack.terraform_stack", arguments, check=True, diff=False)


def test_parameters_have_types_and_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    result = given({"source": "~/a", "work_dir": "b", "timeout": "5"}).result
    found = result["parameters"]
    assert (found["source"], found["timeout"], found["workspace"]) == (f"{tmp_path}/a", 5, "default")
    assert found.keys() == COMMON.keys()
    assert result["modes"] == {"check": True, "diff": False}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"work_dir": "b"}, "missing required arguments: source"),
        ({"source": "a", "work_dir": "b", "sauce": 1}, "Unsupported parameters.* sauce"),
        (
            {"source": "a", "work_dir": "b", "backend": {}},
            "missing required arguments: type found in backend",
        ),
        ({"source": "a", "work_dir": "b", "sensitive_variables": SECRET}, "sensitive_variables"),
    ],
)
def test_what_a_module_would_refuse_is_refused(arguments: dict[str, Any], message: str) -> None:
    refused = given(arguments)
    assert refused.result["failed"] is True
    assert re.search(message, refused.result["msg"])
    assert "parameters" not in refused.result
    assert (SECRET in refused.secrets) is (arguments.get("sensitive_variables") == SECRET)


def main() -> None:
    """A module's."""
    module = AnsibleModule({"text": {"type": "str"}, "hidden": {"no_log": True}}, supports_check_mode=True)
    if module.params["text"] == "crash":
        raise ValueError("unheard of")
    module.exit_json(text=module.params["text"], check=module.check_mode, hidden=module.params["hidden"])


def ran(**arguments: Any) -> dict[str, Any]:
    started = forked.start_main(main, arguments, {})
    result: dict[str, Any] = json.loads(started.wait())
    return result


def test_a_modules_main_function_says_its_result() -> None:
    result = ran(text="Grüße", hidden=SECRET, _ansible_check_mode=True)
    assert (result["text"], result["check"]) == ("Grüße", True)
    assert SECRET not in json.dumps(result)
    assert ran(txt="x")["msg"].startswith("Unsupported parameters")


def test_a_main_function_that_crashes_is_a_failure() -> None:
    result = ran(text="crash")
    assert (result["failed"], result["msg"]) == (True, "ValueError: unheard of")


def test_a_fork_can_be_told_to_stop() -> None:
    started = forked.start_main(lambda: time.sleep(60), {}, {})
    began = time.monotonic()
    started.stop()
    assert started.wait() == ""
    assert "was killed" in started.killed()["msg"]
    assert time.monotonic() - began < 20
