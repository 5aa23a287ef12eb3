"""Who signed in: what is kept of the journal, and that nothing is lost or comes twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from ds_stack_init import sign_ins
from ds_stack_init.settings import Settings, parse

AT = "2026-11-28T07:55:12+0000 ip-10-0-0-7"
SSH = f"{AT} sshd[5361]: Accepted publickey for alice from 192.0.2.9 port 51546 ssh2: ED25519 SHA256:OXDb"
HUB = f"{AT} jupyterhub[7]: [I 2026-11-28 07:55:12.001 JupyterHub sign_in:120] sign-in"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a machine whose data volume and own disk are folders here."""
    monkeypatch.setattr(sign_ins, "CURSOR", tmp_path / "own/cursor")
    (tmp_path / "data/state").mkdir(parents=True)
    found = {"schema": 1, "metadata_url": "", "users_group": "ds-users", "data_mount": "/data"}
    found |= dict.fromkeys(("region", "endpoint_url"))
    found |= {
        "services": [],
        "state_folders": [],
        "first_uid": 2000,
        "volume_seconds": 1,
        "services_seconds": 1,
    }
    text = json.dumps(found)
    return replace(parse(text), data_mount=tmp_path / "data")


class Journal:
    """A journal, whose cursors are numbers of lines."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Begin with these lines."""
        self.lines = list(lines)

    def __call__(self, *command: str, ok: Sequence[int]) -> tuple[int, str]:
        """Answer as journalctl does."""
        after = [one.partition("=")[2] for one in command if one.startswith("--after-cursor=")]
        if after and not (after[0].isdigit() and int(after[0]) <= len(self.lines)):
            assert 1 in ok
            return 1, ""
        said = self.lines[int(after[0]) if after else 0 :]
        return 0, "".join(f"{line}\n" for line in [*said, f"-- cursor: {len(self.lines)}"])


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    one = Journal([SSH])
    monkeypatch.setattr(sign_ins, "run_for_code", one)
    return one


@pytest.mark.parametrize(
    "line",
    [
        SSH,
        f"{HUB} accepted: 'alice' from 192.0.2.9",
        f"{HUB} refused: 'x\\nsign-in accepted: root' from 127.0.0.1",
        f"{AT} sshd[5373]: Connection closed by invalid user a b 127.0.0.1 port 51550 [preauth]",
        f"{AT} su[5342]: pam_unix(su:session): session opened for user root(uid=0) by (uid=2000)",
        f"{AT} sudo: alice : command not allowed",
        f"{AT} rserver-pam[9]: pam_unix(rstudio:auth): authentication failure; user=alice",
        f"{AT} nginx: password for rstudio from 192.0.2.9: 302 /auth-sign-in?error=1",
    ],
)
def test_what_is_kept(line: str) -> None:
    assert sign_ins.tells(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"{AT} CRON[8]: pam_unix(cron:session): session opened for user alice(uid=2000) by (uid=0)",
        f"{AT} (systemd)[8]: pam_unix(systemd-user:session): session opened for user alice",
        f"{AT} jupyterhub[7]: [I 2026-11-28 07:55:12.001 JupyterHub log:192] 200 GET /hub/sign-in accepted: ",
        f"{AT} jupyterhub[7]: sign-in accepted: 'root' from 192.0.2.1",
        f"                         {SSH}",
        "-- cursor: s=16da5bc3",
    ],
)
def test_what_is_not(line: str) -> None:
    assert not sign_ins.tells(line)


def kept(here: Settings) -> list[str]:
    sign_ins.keep(here)
    return (here.state / sign_ins.NAME).read_text().splitlines()


def test_each_line_is_kept_once(here: Settings, journal: Journal) -> None:
    assert kept(here) == [SSH]
    assert kept(here) == [SSH]
    journal.lines += ["noise", f"{HUB} accepted: 'bob' from 192.0.2.9"]
    assert kept(here) == [SSH, journal.lines[-1]]
    assert (here.state / sign_ins.NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cursor", ["of another machine's", "", "7"])
def test_place_that_the_journal_does_not_have(here: Settings, journal: Journal, cursor: str) -> None:
    sign_ins.CURSOR.parent.mkdir()
    sign_ins.CURSOR.write_text(cursor)
    assert kept(here) == [SSH]
    assert sign_ins.CURSOR.read_text() == "1\n"


def test_nothing_is_lost_where_it_cannot_be_written(here: Settings, journal: Journal) -> None:
    (here.state / sign_ins.NAME).mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        sign_ins.keep(here)
    (here.state / sign_ins.NAME).rmdir()
    assert kept(here) == [SSH]


def test_no_link_is_followed(here: Settings, journal: Journal, tmp_path: Path) -> None:
    (here.state / sign_ins.NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        sign_ins.keep(here)
    assert not (tmp_path / "elsewhere").exists()


def test_two_files_are_kept(here: Settings, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "MOST_BYTES", 10)
    for number in range(3):
        journal.lines.append(f"{AT} sshd[1]: Invalid user number{number}")
        sign_ins.keep(here)
    assert (here.state / sign_ins.BEFORE).read_text().endswith("number1\n")
    assert (here.state / sign_ins.NAME).read_text().endswith("number2\n")
    assert len(list(here.state.iterdir())) == 2
