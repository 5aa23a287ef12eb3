"""The root modules under terraform/, run by hand as a user would, with the real Terraform and provider."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud import provider
from tests.integration.operators import running_provider
from tests.terraform_binary import BINARY

REPOSITORY = Path(__file__).resolve().parents[2]

NOTHING_TO_DO = 0
CHANGES_PLANNED = 2


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Run the actions side by side: they mostly wait for the provider. Returns what each returned."""
    with ThreadPoolExecutor(max_workers=len(actions)) as pool:
        return [future.result() for future in [pool.submit(action) for action in actions]]


@dataclass
class Root:
    """One root module, run by hand as a user would, with JSON variables."""

    path: Path
    environment: dict[str, str]
    variables: dict[str, Any] = field(default_factory=dict)

    def run(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run terraform; a return code that is not expected fails the test with all that terraform said."""
        result = subprocess.run(
            [BINARY, *arguments],
            cwd=self.path, env=self.environment, capture_output=True, text=True, timeout=170, check=False,
        )  # fmt: skip
        assert result.returncode in expect, (
            f"terraform {' '.join(arguments)}:\n{result.stdout}\n{result.stderr}"
        )
        return result

    def _give(self, variables: dict[str, Any]) -> None:
        self.variables |= variables
        (self.path / "terraform.tfvars.json").write_text(json.dumps(self.variables), encoding="utf-8")

    def plan(self, *, expect: int, **variables: Any) -> None:
        """Plan with the variables so far and these, expecting NOTHING_TO_DO or CHANGES_PLANNED."""
        self._give(variables)
        self.run("plan", "-no-color", "-input=false", "-detailed-exitcode", expect=(expect,))

    def apply(self, **variables: Any) -> dict[str, Any]:
        """Apply with the variables so far and these. Returns the outputs."""
        self._give(variables)
        self.run("apply", "-no-color", "-input=false", "-auto-approve")
        outputs = json.loads(self.run("output", "-json").stdout)
        return {name: output["value"] for name, output in outputs.items()}

    def destroy(self) -> None:
        """Destroy all, with the variables so far."""
        self._give({})
        self.run("destroy", "-no-color", "-input=false", "-auto-approve")

    def refuse(self, **variables: Any) -> str:
        """Plan with variables that must be refused. Returns what terraform said, on one line."""
        good = dict(self.variables)
        self._give(variables)
        result = self.run("plan", "-no-color", "-input=false", expect=(1,))
        self.variables = good
        return " ".join(result.stderr.replace("│", " ").split())

    def planned(self, **variables: Any) -> dict[str, tuple[list[str], dict[str, Any]]]:
        """Plan with further variables that are then forgotten. Returns address → (actions, values after)."""
        good = dict(self.variables)
        self._give(variables)
        self.run("plan", "-no-color", "-input=false", "-out=plan")
        self.variables = good
        changes = json.loads(self.run("show", "-json", "plan").stdout)["resource_changes"]
        return {c["address"]: (c["change"]["actions"], c["change"]["after"] or {}) for c in changes}


def initialised(folder: Path, *names: str) -> dict[str, Root]:
    """Copy the code into an empty folder and initialise these of its root modules.

    Terraform finds the provider as the local cloud does, and reports to nobody.
    """
    configuration = folder / "terraform.rc"
    configuration.write_text(provider.configuration(provider.find()), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    environment = kept | {
        "TF_CLI_CONFIG_FILE": str(configuration),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }
    code = folder / "terraform"
    shutil.copytree(
        REPOSITORY / "terraform", code, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")
    )
    roots = {name: Root(code / name, dict(environment)) for name in names}
    for root in roots.values():
        root.run("init", "-no-color", "-input=false")
    return roots


@contextmanager
def provided(roots: Iterable[Root], endpoint: str) -> Iterator[dict[str, str]]:
    """Lead the roots to the account at an endpoint, with their providers running. Returns the settings."""
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with ExitStack() as providers:
        for root in roots:
            root.environment |= settings
            (binary,) = root.path.glob(
                ".terraform/providers/registry.terraform.io/*/aws/*/*/terraform-provider-aws_*"
            )
            providers.enter_context(running_provider(binary, root.environment))
        yield settings
