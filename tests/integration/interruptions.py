"""The table of interruptions in docs/terraform_stack.md, held against what the tests observe."""

from __future__ import annotations

from pathlib import Path

from tests.integration.terraform_plays import SLOW, Play

PAGE = Path(__file__).resolve().parents[2] / "docs/terraform_stack.md"

COLUMNS = ["What happens", "At the console", "Terraform", "State", "Locks", "Secrets on disk", "The next run"]

CONSOLE = {
    "Timed out after": "the task fails when Terraform has stopped",
    "apply was interrupted (": "the task fails and says what was done",
    "The process that supervises": "the task fails and says that Terraform may still run",
    "No start of json char found": "the task fails with Ansible's own words",
    "Module failed: Timeout exceeded": "the task fails with Ansible's own words",
}

NEXT_RUN = {
    "was interrupted (": "says how the last one ended, goes on",
    "was killed before its end": "says that the last one was killed, goes on",
}


def documented() -> dict[str, list[str]]:
    """The rows of the table: what happens, and the other cells."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = lines.index(f"| {' | '.join(COLUMNS)} |")
    rows = {}
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name] = cells
    return rows


def document(name: str, *cells: str) -> None:
    """See that the page says what was observed."""
    assert documented().get(name) == list(cells), f"in {PAGE.name}:\n| {' | '.join([name, *cells])} |"


def _phrase(phrases: dict[str, str], said: str, otherwise: str) -> str:
    return next((phrase for pattern, phrase in phrases.items() if pattern in said), otherwise)


def observed(play: Play) -> list[str]:
    """What an interrupted play has left, all of its processes having ended; and what the next run says.

    The apply had made one resource and was making a second one.
    """
    otherwise = "unknown" if "PLAY RECAP" in play.output else "the play is over at once"
    console = _phrase(CONSOLE, play.said, otherwise)
    terraform = "gets SIGINT, ends" if "Interrupt received" in play.log else "runs to its end"
    state = "saved" if play.resources() == ["quick", "slow"] else "incomplete"
    locks = "left" if (play.work_dir / ".terraform.tfstate.lock.info").exists() else "free"
    secrets = ", ".join(play.secrets_left()) or "removed"
    said = play.finish(SLOW.replace("sleep 60", "true"))
    assert not (play.work_dir / ".terraform_stack/run.json").exists(), "once is enough"
    return [console, terraform, state, locks, secrets, _phrase(NEXT_RUN, said, "goes on")]
