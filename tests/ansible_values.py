"""What Ansible makes of expressions over variables, in a process of its own.

In a test's own process Ansible's controller would take the warnings of the modules under test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def value_of(expression: str, files: Iterable[Path], variables: Mapping[str, Any]) -> Any:
    """Return the value of a template.

    files: of variables, the stronger ones last. variables: stronger than all of them.
    """
    command = ["ansible", "localhost", "--connection=local", "--module-name=ansible.builtin.debug"]
    command += [f"--args=msg={expression}", *(f"--extra-vars=@{path}" for path in files)]
    command += ["--extra-vars", json.dumps(dict(variables))]
    environment = {**os.environ, "NO_COLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return json.loads(done.stdout.partition("=> ")[2])["msg"]
