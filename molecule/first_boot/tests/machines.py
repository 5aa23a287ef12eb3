"""The machine, and the operator who has only SSM to tell it anything."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.iac.ds_stack.plugins.modules import machine_config, machine_status, user_credentials
from testinfra.host import Host

CONTAINER = "ds-stack-molecule-first-boot"
INSTANCE = "i-0123456789abcdef0"
VOLUME, FOREIGN_VOLUME = "vol-0123456789abcdef0", "vol-0fedcba9876543210"
FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
REGION = "eu-central-1"
ROOT = "/ds-stack/demo"


class Operator:
    """Does what the playbooks do: by the modules, and by SSM."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Find the services that cloud.py has started."""
        self._capsys = capsys
        self._endpoint = json.loads((FOLDER / "cloud.json").read_text())["endpoint_url"]
        self._ssm = boto3.client(
            "ssm",
            region_name=REGION,
            endpoint_url=self._endpoint,
            aws_access_key_id="operator",
            aws_secret_access_key="secret",  # noqa: S106 - nobody asks for it
        )

    def configure(
        self,
        users: Sequence[str | dict[str, Any]],
        rotate: Sequence[str] = (),
        tls: str = "self_signed",
        volume: str = VOLUME,
        restore_home: dict[str, str] | None = None,
    ) -> int:
        """Write passwords and configuration as instance.yml does, and return the configuration's version."""
        people = [one if isinstance(one, dict) else {"name": one} for one in users]
        self.module(user_credentials, users=[one["name"] for one in people], rotate=list(rotate))
        config: dict[str, Any] = {"schema": 1, "tls": tls, "data_volume_id": volume, "users": people}
        if restore_home:
            config["restore_home"] = restore_home
        return int(self.module(machine_config, config=config)["version"])

    def module(self, module: Any, **arguments: Any) -> dict[str, Any]:
        """Run a module and return its result."""
        self._capsys.readouterr()
        given = {
            "stack": "demo",
            "endpoint_url": self._endpoint,
            "region": REGION,
            "access_key": "operator",
            "secret_key": "secret",
            **arguments,
        }
        with patch_module_args(given), pytest.raises(SystemExit):
            module.main()
        result: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        assert not result.get("failed"), result
        return result

    def status(self) -> dict[str, Any]:
        """Return what the machine has said last."""
        status: dict[str, Any] = self.module(machine_status, instance_id=INSTANCE)["status"]
        return status

    def told(self) -> tuple[str, str]:
        """Return what status.yml ends with on a machine that is not well, and what is well by its word."""
        found = self.module(machine_status, instance_id=INSTANCE)
        well = ", ".join(one["name"] for one in found["status"]["checks"] if one["ok"])
        return f"demo is not well. {found['complaint']}", f"well: {well}"

    def wait_until_ready(self, config_version: int) -> dict[str, Any]:
        """Wait as instance.yml does."""
        wanted = {"instance_id": INSTANCE, "config_version": config_version}
        return self.module(machine_status, **wanted, wait=True, timeout=60)

    def wait_until_it_stands_by(self) -> dict[str, Any]:
        """Wait as a replacement does, before the volume moves."""
        return self.module(machine_status, instance_id=INSTANCE, standing_by=True, wait=True, timeout=60)

    def password(self, user: str) -> str:
        """Return a password that was issued."""
        name = f"{ROOT}/operator/passwords/{user}"
        return str(self._ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])


class Machine:
    """The machine, from outside and from root's shell."""

    def __init__(self, host: Host) -> None:
        """Use testinfra's connection."""
        self.host = host
        self._said = ""

    def run(self, command: str) -> str:
        """Run a command that must succeed and return its output."""
        return str(self.host.check_output(command))

    def reboot(self) -> None:
        """Boot anew, in order, and wait until that is done."""
        self._said = self.journal()
        subprocess.run(["podman", "restart", "--time", "20", CONTAINER], check=True, capture_output=True)
        end = time.monotonic() + 60
        while self.host.run("systemctl is-system-running").stdout.strip() not in ("running", "degraded"):
            assert time.monotonic() < end, self.host.run("systemctl list-jobs").stdout
            time.sleep(0.3)

    def refresh(self) -> None:
        """Do what the timer does every minute, and wait for what that has started."""
        self._wait_for_jobs()  # a refresh of the timer's that began earlier may have read what was before
        self.host.run("systemctl start ds-stack-init-refresh.service")
        self._wait_for_jobs()

    def _wait_for_jobs(self) -> None:
        end = time.monotonic() + 60
        while jobs := self.run("systemctl list-jobs --no-legend 'ds-stack-*'"):
            assert time.monotonic() < end, jobs
            time.sleep(0.3)

    def refresh_in_full(self) -> None:
        """Refresh as if nothing had been done since the boot."""
        self.run("rm /run/ds-stack/applied.json")
        self.refresh()

    def metadata(self, **answers: str) -> None:
        """Let the metadata service give these answers besides its usual ones."""
        (FOLDER / "metadata.json").write_text(json.dumps(answers))

    def become_new_image(self) -> None:
        """Reboot, and begin without users, as on an image that was baked anew."""
        self.run("touch /forget")
        self.reboot()
        assert not self.host.file("/forget").exists

    def shadow(self, user: str) -> str:
        """Return a user's password hash."""
        return self.run(f"getent shadow {user}").split(":")[1]

    def journal(self) -> str:
        """Return all that was logged up to now; the machine itself forgets it when it boots."""
        return self._said + self.run("journalctl --no-pager --output=cat")

    @property
    def address(self) -> str:
        """Its address, as seen from here."""
        return next(one for one in self.host.interface("eth0").addresses if ":" not in one)


@pytest.fixture
def operator(capsys: pytest.CaptureFixture[str]) -> Operator:
    """The operator."""
    return Operator(capsys)


@pytest.fixture(scope="module")
def machine(host: Host) -> Machine:
    """The machine."""
    return Machine(host)
