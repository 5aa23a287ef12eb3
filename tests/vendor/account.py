"""Make a stack in an AWS account, look at it, and destroy it: make vendor-check ACCOUNT=1.

usage: python -m tests.vendor.account [--yes]

The account is that of the environment. It costs money, says so first, and begins when it is told yes.
Whatever happens, it destroys what it made, homes and image with it; should that fail, it says what to run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "vendor-check"
COST = f"""\
This makes the stack {NAME} in the AWS account of your environment: a machine of type t3.medium for about a
quarter of an hour, one of type t3.large for about another, 20 + 8 GiB of disk and one image. By the prices of
us-east-1 that is well under 1 USD, and then nothing, if it ends as it should.
Prices: https://aws.amazon.com/ec2/pricing/on-demand/
"""
VARIABLES = {"ds_stack_name": NAME, "ds_stack_data_volume_size": 8, "ds_stack_users": [{"name": "ada"}]}
GONE = {
    "ds_stack_destroy_data": True,
    "ds_stack_final_snapshot": False,
    "ds_stack_destroy_images": True,
    "ds_stack_replace": "now",  # a machine that has failed may not tell that nobody works on it
}


def play(folder: Path, playbook: str, **more: object) -> str:
    """Run a playbook with its output on the terminal, and return that too. Raises CalledProcessError."""
    command = ["ansible-playbook", f"iac.ds_stack.{playbook}", "-e", json.dumps({**VARIABLES, **more})]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        said = ""
        for line in running.stdout:
            sys.stdout.write(line)
            said += line
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command)
    return said


def check(folder: Path) -> str:
    """Make the stack, and look at it; what is wrong with it."""
    play(folder, "site")
    again = play(folder, "site")
    status = play(folder, "status")
    if not re.search(r" changed=0 ", again):
        return "a second site.yml changed something"
    if f"\n{NAME}: ready\n" not in status:
        return "status.yml does not say that it is ready"
    return ""


def main() -> int:
    """Return the exit code."""
    print(COST)
    if "--yes" not in sys.argv[1:] and (not sys.stdin.isatty() or input("Go on? [yes/no] ") != "yes"):
        print("Nothing was made. Answer yes at a terminal, or give --yes.", file=sys.stderr)
        return 1
    # Not a temporary folder that goes by itself: should destroy.yml fail, it has what a second one needs.
    folder = Path(tempfile.mkdtemp(prefix=f"{NAME}-"))
    try:
        problem = check(folder)
    except subprocess.CalledProcessError as error:
        problem = f"{error.cmd[1]} failed"
    try:
        play(folder, "destroy", **GONE)
    except subprocess.CalledProcessError:
        options = json.dumps({**VARIABLES, **GONE})
        print(f"\nIt is not destroyed. Run in {folder}:", file=sys.stderr)
        print(f"  ansible-playbook iac.ds_stack.destroy -e '{options}'", file=sys.stderr)
        return 1
    print(f"\nfailed: {problem}" if problem else "\nok: made, unchanged by a second run, ready, destroyed")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
