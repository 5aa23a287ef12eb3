"""What the product is told about the account: an environment, variables, Terraform's configuration.

They are ordinary settings that would work the same against AWS with other values.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcloud import provider
from localcloud.addresses import API_URL, HOST
from localcloud.paths import RunDir

REGION = "us-east-1"


@dataclass(frozen=True)
class Operator:
    """The operator's access key: the only one that the API takes, besides those that it hands out."""

    access_key_id: str
    secret_access_key: str

    @classmethod
    def new(cls) -> "Operator":
        """A fresh key."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        return cls("AKIA" + "".join(secrets.choice(alphabet) for _ in range(16)), secrets.token_urlsafe(30))


def environment(operator: Operator, run: RunDir) -> dict[str, str]:
    """The environment variables."""
    return {
        "AWS_ACCESS_KEY_ID": operator.access_key_id,
        "AWS_SECRET_ACCESS_KEY": operator.secret_access_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": API_URL,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TF_CLI_CONFIG_FILE": str(run.terraform_rc),
    }


def variables(
    run: RunDir, owner: str, downloads: Mapping[str, object], *, overlay: Path | None
) -> dict[str, object]:
    """The extra variables of the playbooks.

    Args:
        run: the account's folder.
        owner: account that owns the base image.
        downloads: the offline mirror's role variables; empty without a mirror.
        overlay: what this machine's Packer needs over the product's template, if anything.
    """
    return {
        "ds_stack_region": REGION,
        "ds_stack_dir": f"{run.stacks}/{{{{ ds_stack_name }}}}",
        "ds_stack_lock_file": f"{run.stacks}/{{{{ ds_stack_name }}}}.lock.yml",
        "ds_stack_base_image": {"owner": owner, "name": "debian-12-amd64-*", "ssh_username": "admin"},
        "ds_stack_downloads": {
            **downloads,
            "base_ssm_agent": False,  # there is no Session Manager that it could talk to
            "first_boot_aws_endpoint_url": API_URL,
        },
        **({"ds_stack_packer_overlay": str(overlay)} if overlay else {}),
        "ds_stack_packer_variables": {},
        "ds_stack_bake_source_cidrs": [f"{HOST}/32"],
    }


def write(
    run: RunDir,
    operator: Operator,
    mirror: Path | None,
    owner: str,
    downloads: Mapping[str, object],
    *,
    overlay: Path | None,
) -> None:
    """Write the three files; the environment holds a secret and is readable by its owner only."""
    run.stacks.mkdir(parents=True, exist_ok=True)
    run.terraform_rc.write_text(provider.configuration(mirror))
    run.vars.write_text(yaml.safe_dump(variables(run, owner, downloads, overlay=overlay), sort_keys=False))
    run.env.touch(mode=0o600)
    run.env.write_text("".join(f"{key}={value}\n" for key, value in environment(operator, run).items()))


def read_operator(run: RunDir) -> Operator:
    """The operator's key as written before. Raises KeyError or OSError when there is none."""
    pairs = dict(line.split("=", 1) for line in run.env.read_text().splitlines())
    return Operator(pairs["AWS_ACCESS_KEY_ID"], pairs["AWS_SECRET_ACCESS_KEY"])


def manifest_of(mirror: Path) -> Mapping[str, Any]:
    """What a finished offline mirror says about itself."""
    found: Mapping[str, Any] = json.loads((mirror / "manifest.json").read_text())
    return found


def downloads_of(mirror: Path, base_url: str) -> Mapping[str, object]:
    """The role variables that a finished offline mirror stands for."""
    from localcloud.mirror import role_variables  # noqa: PLC0415 (heavy, and not there without a mirror)

    return role_variables(manifest_of(mirror), base_url)
