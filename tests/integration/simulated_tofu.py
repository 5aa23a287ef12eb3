"""OpenTofu, as far as its output differs: none can be had here, so that terraform does the work.

usage: simulated_tofu.py TERRAFORM ARGUMENT...
"""

from __future__ import annotations

import json
import subprocess
import sys

VERSION = "1.10.6"
ONLY_TERRAFORMS = ("applyable", "complete", "deferred_changes", "deferred_action_invocations")
"""Fields of a plan that OpenTofu does not have."""
TAKE_VARIABLES = ("init", "plan", "apply")
"""The commands of Terraform that do, as all of OpenTofu's."""


def as_tofu(line: str) -> str:
    """A line as OpenTofu writes it."""
    line = line.replace("Terraform", "OpenTofu")
    if not line.startswith('{"'):
        return line
    document = json.loads(line)
    if document.get("type") == "version":
        del document["terraform"]
        document.update({"tofu": VERSION, "@message": f"OpenTofu {VERSION}"})
    return json.dumps({name: value for name, value in document.items() if name not in ONLY_TERRAFORMS}) + "\n"


def main(terraform: str, arguments: list[str]) -> int:
    """Run one command."""
    if arguments == ["version"]:
        print(f"OpenTofu v{VERSION}\non linux_amd64")
        return 0
    if arguments[0] not in TAKE_VARIABLES:
        arguments = [argument for argument in arguments if not argument.startswith("-var-file=")]
    done = subprocess.run([terraform, *arguments], capture_output=True, text=True, check=False)
    for stream, text in ((sys.stdout, done.stdout), (sys.stderr, done.stderr)):
        stream.writelines(as_tofu(line) for line in text.splitlines(keepends=True))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
