"""The stack's Spark cluster as the users of the machine find it, with moto's SSM in this process."""

from __future__ import annotations

import grp
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from ds_stack_init import cluster, memory
from ds_stack_init.cluster import Cluster
from ds_stack_init.errors import InitError
from ds_stack_init.parameters import Parameters
from ds_stack_init.settings import Settings
from moto import mock_aws

NAME = "/ds-stack/demo/machine/cluster"
TOKEN = "a-token_of-32-characters-and-more0"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "host": "10.0.1.23",
    "port": 15443,
    "server_name": "spark.ds-stack.internal",
    "token": TOKEN,
    "certificate": PEM,
    "spark": "4.0.2",
}
CLUSTER = Cluster("10.0.1.23", 15443, "spark.ds-stack.internal", TOKEN, PEM)
HOSTS = "127.0.0.1 localhost\n# spark.ds-stack.internal was here once\n"
LINE = f"10.0.1.23 spark.ds-stack.internal {cluster.MARK}\n"


class Machine:
    """A machine whose files are in a folder, and the operator's SSM."""

    def __init__(self, folder: Path, ssm: Any) -> None:
        self.settings = replace(
            Settings(None, None, "", grp.getgrgid(os.getgid()).gr_name, 2000, folder, (), (), 0, 0),
            spark_folder=folder / "spark",
            hosts=folder / "hosts",
        )
        self.settings.hosts.write_text(HOSTS)
        self.ssm = ssm
        self.decrypted = 0
        self.logged: list[str] = []
        ssm.meta.events.register("before-call.ssm.GetParameter", self._count)

    def _count(self, params: Any, **_: Any) -> None:
        self.decrypted += json.loads(params["body"])["WithDecryption"]

    def tell(self, **changes: Any) -> None:
        """Write the parameter."""
        value = json.dumps({**DOCUMENT, **changes})
        self.ssm.put_parameter(Name=NAME, Value=value, Type="SecureString", Overwrite=True)

    def refresh(self) -> list[str]:
        """Do what the timer does; return what it logs."""
        self.logged.clear()
        cluster.refresh(self.settings, Parameters(lambda: self.ssm, "demo"), self.logged.append)
        return list(self.logged)

    def files(self) -> dict[str, str]:
        """Return what users find."""
        return {path.name: oct(path.stat().st_mode & 0o777) for path in self.settings.spark_folder.glob("*")}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(memory, "FOLDER", tmp_path)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield Machine(tmp_path, boto3.client("ssm", region_name="eu-central-1"))


def test_a_cluster_comes_and_goes(machine: Machine) -> None:
    assert (machine.refresh(), machine.files()) == ([], {})
    machine.tell()
    assert machine.refresh() == ["users have a Spark cluster"]
    assert machine.files() == {"remote": "0o640", "certificate.pem": "0o644", "ca-bundle.pem": "0o644"}
    folder = machine.settings.spark_folder
    assert (folder / "remote").read_text() == (
        f"sc://spark.ds-stack.internal:15443/;use_ssl=true;token={TOKEN}\n"
    )
    assert (folder / "certificate.pem").read_text() == PEM
    assert (folder / "ca-bundle.pem").read_text().endswith(PEM)
    assert machine.settings.hosts.read_text() == HOSTS + LINE
    machine.ssm.delete_parameter(Name=NAME)
    assert machine.refresh() == ["users have no Spark cluster any more"]
    assert (machine.files(), machine.settings.hosts.read_text()) == ({}, HOSTS)
    assert machine.refresh() == []


def test_nothing_is_decrypted_without_a_change(machine: Machine) -> None:
    machine.tell()
    machine.refresh()
    assert machine.refresh() == []
    assert machine.decrypted == 1


def test_another_cluster_takes_its_place(machine: Machine) -> None:
    machine.tell()
    machine.refresh()
    machine.tell(host="10.0.1.99")
    machine.refresh()
    assert machine.settings.hosts.read_text() == HOSTS + LINE.replace("10.0.1.23", "10.0.1.99")


@pytest.mark.parametrize("lost", ["hosts", "spark/remote"])
def test_what_was_lost_is_written_again(machine: Machine, lost: str) -> None:
    machine.tell()
    machine.refresh()
    path = machine.settings.data_mount / lost
    before = path.read_text()
    if lost == "hosts":
        path.write_text(HOSTS)  # as cloud-init does at boot
    else:
        path.unlink()
    machine.refresh()
    assert path.read_text() == before


def test_hosts_that_cannot_be_replaced(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the file is mounted."""
    replaced = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if target.name == "hosts":
            raise OSError(16, "Device or resource busy")
        return replaced(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    machine.tell()
    machine.refresh()
    assert machine.settings.hosts.read_text() == HOSTS + LINE


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"host": "10.0.1.23 evil.example"},
        {"host": "spark.example"},
        {"server_name": "x\n10.0.0.1 example.com"},
        {"server_name": "localhost"},
        {"port": "a"},
        {"port": 0},
        {"token": TOKEN + ";user_id=root"},
        {"token": ""},
        {"token": None},
        {"certificate": "none"},
    ],
)
def test_what_makes_no_sense_changes_nothing(machine: Machine, changes: dict[str, Any]) -> None:
    machine.tell()
    machine.refresh()
    machine.tell(**changes)
    with pytest.raises(InitError) as refused:
        machine.refresh()
    assert str(refused.value) == "What SSM tells of the Spark cluster cannot be read. Run cluster.yml again."
    assert machine.settings.hosts.read_text() == HOSTS + LINE


def test_parse() -> None:
    assert cluster.parse(json.dumps(DOCUMENT)) == CLUSTER
    assert TOKEN not in repr(CLUSTER)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '"text"'])
def test_no_document(text: str) -> None:
    with pytest.raises(InitError):
        cluster.parse(text)


@pytest.mark.parametrize("hosts", ["", HOSTS, HOSTS + LINE, LINE + HOSTS, HOSTS + LINE + LINE])
def test_with_host(hosts: str) -> None:
    kept = hosts.replace(LINE, "")
    assert cluster.with_host(hosts, CLUSTER) == kept + LINE
    assert cluster.with_host(hosts, None) == kept
