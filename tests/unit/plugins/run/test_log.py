"""The one log."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.iac.ds_stack.plugins.module_utils._run.log import Log, new_log_path
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import Scrubber

SCRUBBER = Scrubber(["hunter2hunter2"])


def test_lines_are_appended_without_secrets_for_the_owner_alone(tmp_path: Path) -> None:
    path = new_log_path(tmp_path / "logs")
    for _run in range(2):
        log = Log(path, SCRUBBER)
        log.write("\x1b[1mone\x1b[0m\nhunter2hunter2")
        log.close()
        log.close()
        log.write("after the end")
    assert path.read_text() == "one\n(sensitive)\n" * 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_where_nothing_may_be_written_nothing_is(tmp_path: Path) -> None:
    log = Log(None, SCRUBBER, timed=True)
    log.write("text")
    log.close()
    assert log.path is None
    assert log.clean("hunter2hunter2\x07") == "(sensitive)"


def test_logs_of_one_moment_have_names_of_their_own(tmp_path: Path) -> None:
    assert new_log_path(tmp_path, "team/image").name == "team_image.log"
    assert new_log_path(tmp_path).suffix == ".log"
    for number in range(15):
        new_log_path(tmp_path, f"{number:02}").touch()
    assert len(list(tmp_path.iterdir())) == 10, "the last of them too"
    assert (tmp_path / "14.log").exists()
    assert not (tmp_path / "04.log").exists()
