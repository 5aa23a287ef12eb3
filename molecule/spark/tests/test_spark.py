"""A cluster as the machine's users have it: TLS and the token, from Python and R, and nobody else."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from testinfra.host import Host

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
REGION = "eu-central-1"
NAME = "spark.ds-stack.internal"
SPARK = "4.0.2"
PYTHON = "/opt/conda/envs/ds/bin/python"
UNITS = ("connect", "proxy", "idle")
REMOTE = "/etc/ds-stack/spark/remote"
START = f"ds-stack-spark-connect start --stack demo --region {REGION}"

#: What the machine's timer does, without the rest of it.
REFRESH = f"""\
import sys
sys.path.insert(0, "/usr/local/lib/ds-stack")
from ds_stack_init import cluster, files, memory, settings
from ds_stack_init.parameters import Parameters
here = settings.load()
files.make_folder(memory.FOLDER, 0o755)
cluster.refresh(here, Parameters.of_machine(here, "{REGION}", "demo"), print)
"""

GROUP_BY = """\
import pandas
from ds_spark import spark
from pyspark.sql import functions as f

rows = [(number % 7, number * 1.5) for number in range(10_000)]
groups = spark.createDataFrame(rows, "k int, x double").groupBy("k")
found = groups.agg(f.count("*").alias("n"), f.sum("x").alias("total")).orderBy("k").toPandas()
groups = pandas.DataFrame(rows, columns=["k", "x"]).groupby("k")
wanted = groups.agg(n=("x", "size"), total=("x", "sum")).reset_index()
pandas.testing.assert_frame_equal(found, wanted, check_dtype=False)
print(len(found), int(found.n.sum()))
"""

#: A function of the user's own runs on the workers, with a package of the environment.
FUNCTION = """\
import platform, pandas, pyspark
from ds_spark import spark
from pyspark.sql import functions as f

print(spark.version, pyspark.__version__)

@f.udf("string")
def versions(_):
    import platform, pandas
    return f"{platform.python_version()} {pandas.__version__}"

print(spark.range(1).select(versions("id")).first()[0], "|", platform.python_version(), pandas.__version__)
"""

IN_R = """\
rows <- list(list("DE", 1), list("FR", 2), list("DE", 3))
sales <- spark$createDataFrame(rows, "country string, amount double")
out <- sales$groupBy("country")$agg(list(amount = "sum"))$orderBy("country")
out <- as.data.frame(out$toArrow()$to_pydict(), check.names = FALSE)
cat(out$country, out[["sum(amount)"]], spark$version)
"""

#: Works for longer than nobody may be there, and stays open then.
AT_WORK = """\
import time
from ds_spark import spark
from pyspark.sql import functions as f

print("there:", spark.version, flush=True)
wait = f.udf(lambda x: time.sleep(20) or x, "long")
print("done:", spark.range(0, 1, 1, 1).select(wait("id")).collect(), flush=True)
time.sleep(300)
"""


#: What Spark's own pages tell the program.
JOBS = """\
import sys
sys.path.insert(0, "/usr/local/lib/ds-stack")
from ds_stack_spark import __main__, idle
tables = "".join(table.read_text() for table in __main__.TABLES)
print(idle.jobs(idle.pages(tables, 15004)).running)
"""


STRANGER = """\
import socket, time
listener = socket.create_server(("127.0.0.1", 15445))
time.sleep(300)
"""


@dataclass(frozen=True)
class Cluster:
    """What cluster.yml has made up for a cluster."""

    token: str
    certificate: str
    private_key: str
    host: str = "127.0.0.1"
    port: int = 15443

    @classmethod
    def make(cls, folder: Path) -> Cluster:
        """Make token and certificate up."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-sha256", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
             "-keyout", folder / "key", "-out", folder / "certificate"],
            check=True, capture_output=True,
        )  # fmt: skip
        return cls(
            secrets.token_urlsafe(32), (folder / "certificate").read_text(), (folder / "key").read_text()
        )


class Account:
    """The account's SSM, and the machine that reads it."""

    def __init__(self, host: Host) -> None:
        """Find moto."""
        self.host = host
        self.ssm = boto3.client(
            "ssm",
            region_name=REGION,
            endpoint_url=json.loads((FOLDER / "cloud.json").read_text())["endpoint_url"],
            aws_access_key_id="operator",
            aws_secret_access_key="secret",  # noqa: S106 - nobody asks for it
        )

    def put(self, name: str, document: dict[str, Any]) -> None:
        """Write a parameter."""
        self.ssm.put_parameter(
            Name=f"/ds-stack/demo/{name}", Value=json.dumps(document), Type="SecureString", Overwrite=True
        )

    def start(self, cluster: Cluster, idle_minutes: float = 60) -> None:
        """Run the cluster's step."""
        secret = {one: getattr(cluster, one) for one in ("token", "certificate", "private_key")}
        self.put("cluster/connect", {"schema": 1, "idle_minutes": idle_minutes, **secret})
        self.host.check_output(START)

    def tell(self, cluster: Cluster | None) -> str:
        """Have the machine know of a cluster, or of none. Return what its timer logs."""
        if cluster is None:
            self.ssm.delete_parameter(Name="/ds-stack/demo/machine/cluster")
        else:
            found = {one: getattr(cluster, one) for one in ("token", "certificate", "host", "port")}
            self.put("machine/cluster", {"schema": 1, "server_name": NAME, "spark": SPARK, **found})
        return str(self.host.check_output("python3 -c %s", REFRESH))


@pytest.fixture(scope="module")
def account(host: Host) -> Account:
    return Account(host)


@pytest.fixture(scope="module")
def cluster(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster, started, and known to the machine."""
    made = Cluster.make(tmp_path_factory.mktemp("tls"))
    account.start(made)
    assert account.tell(made) == "users have a Spark cluster"
    return made


@pytest.fixture
def told(account: Account, cluster: Cluster) -> Iterator[Callable[[Cluster | None], str]]:
    """Tells the machine of another cluster, for one test."""
    yield account.tell
    account.tell(cluster)


def as_user(host: Host, program: str, interpreter: str = f"{PYTHON} -c") -> str:
    """Return what a program of a user's prints."""
    return str(
        host.check_output("su --login alice --command %s", f"exec {interpreter} {shlex.quote(program)}")
    )


def wait_until(done: Callable[[], bool], seconds: float, told: Callable[[], str]) -> None:
    """Wait until something is so. ``told`` is asked when it is not in time."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, told()
        time.sleep(0.5)


def refusal(host: Host, user: str = "alice") -> str:
    """Return what a user is told who cannot connect, which takes no longer than it may."""
    began = time.monotonic()
    done = host.run("su --login %s --command %s", user, f"{PYTHON} -c 'import ds_spark; ds_spark.connect()'")
    assert time.monotonic() - began < 15 + 2  # Python itself starts too
    assert done.rc == 1, done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ds_spark.errors.ClusterError: "), done.stderr
    return str(last.partition(": ")[2])


@pytest.mark.usefixtures("cluster")
def test_group_by_is_what_pandas_says(host: Host) -> None:
    assert as_user(host, GROUP_BY) == "7 10000"


@pytest.mark.usefixtures("cluster")
def test_versions_are_the_same_everywhere(host: Host) -> None:
    spark, python = as_user(host, FUNCTION).splitlines()
    assert spark == f"{SPARK} {SPARK}"
    on_workers, here = python.split(" | ")
    assert on_workers == here


@pytest.mark.usefixtures("cluster")
def test_spark_is_ready_in_a_notebook(host: Host) -> None:
    program = """\
from jupyter_client.manager import run_kernel
with run_kernel(kernel_name="python3") as client:
    client.execute_interactive(
        "print(type(spark).__name__, spark.range(4).count())", timeout=60,
        output_hook=lambda message: print(message["content"].get("text", ""), end=""))
"""
    assert as_user(host, program) == "Spark 4"


@pytest.mark.usefixtures("cluster")
def test_r_has_it_too(host: Host) -> None:
    assert as_user(host, IN_R, "Rscript -e") == f"DE FR 4 2 {SPARK}"


def test_emr_takes_the_image(host: Host) -> None:
    """It makes the accounts of Hadoop itself, and moves /tmp and /var."""
    assert not [name for name in ("hadoop", "hdfs", "yarn", "spark") if host.user(name).exists]
    assert host.file(PYTHON).exists


def test_no_cluster(host: Host, told: Callable[[Cluster | None], str]) -> None:
    assert told(None) == "users have no Spark cluster any more"
    assert refusal(host).startswith("There is no Spark cluster now.")
    assert NAME not in host.file("/etc/hosts").content_string


def test_r_is_told_the_same(host: Host, told: Callable[[Cluster | None], str]) -> None:
    told(None)
    done = host.run("su --login alice --command %s", "Rscript -e 'spark$range(1)'")
    assert done.stderr.strip().startswith("Error: There is no Spark cluster now."), done.stderr


def test_a_closed_port(host: Host, cluster: Cluster, told: Callable[[Cluster | None], str]) -> None:
    told(replace(cluster, port=15444))
    assert refusal(host).startswith(
        f"The Spark cluster cannot be reached at {NAME}:15444 (Connection refused)."
    )


def test_a_stranger(host: Host, cluster: Cluster, told: Callable[[Cluster | None], str]) -> None:
    """Takes the connection, and says nothing."""
    host.check_output("systemd-run --quiet --collect --unit=stranger python3 -c %s", STRANGER)
    told(replace(cluster, port=15445))
    said = refusal(host)
    host.check_output("systemctl stop stranger")
    assert said == f"What answers at {NAME}:15445 is no Spark cluster (no answer in time)."


def test_another_certificate(host: Host, told: Callable[[Cluster | None], str], tmp_path: Path) -> None:
    told(Cluster.make(tmp_path))
    assert refusal(host).startswith(
        f"What answers at {NAME}:15443 has another certificate than the Spark cluster"
    )


@pytest.mark.parametrize("way", ["another token", "none"])
def test_a_wrong_token(host: Host, cluster: Cluster, told: Callable[[Cluster | None], str], way: str) -> None:
    told(replace(cluster, token=secrets.token_urlsafe(32)))
    if way == "none":
        host.check_output(f"sed -i 's/;token=.*//' {REMOTE}")
    assert refusal(host) == "The Spark cluster refuses the token of this machine. Run cluster.yml again."


@pytest.mark.usefixtures("cluster")
def test_a_user_outside_of_the_group(host: Host) -> None:
    assert refusal(host, "mallory") == f"Your account may not use the Spark cluster: {REMOTE} is not for you."


@pytest.mark.usefixtures("cluster")
def test_who_reads_the_token(host: Host) -> None:
    remote = host.file(REMOTE)
    assert (remote.user, remote.group, oct(remote.mode)) == ("root", "ds-users", "0o640")
    here = host.file("/run/ds-stack-spark")
    assert (here.user, oct(here.mode)) == ("root", "0o700")
    assert host.check_output("stat --file-system --format %T /run/ds-stack-spark") == "tmpfs"


def test_no_secret_is_told(host: Host, cluster: Cluster) -> None:
    """Neither in a process list, nor in a log, nor in what systemd shows, nor in a file but those."""
    key = cluster.private_key.splitlines()[1]
    said = [
        host.check_output("ps -eww -o args"),
        host.check_output("journalctl --no-pager --output=cat"),
        host.check_output(f"systemctl show {' '.join(f'ds-stack-spark-{one}' for one in UNITS)}"),
    ]
    assert all("ds-stack-spark" in one for one in said)
    assert not [one for one in said if cluster.token in one or key in one]
    holds = host.run(
        "grep -rlF --exclude-dir=proc --exclude-dir=sys -e %s -e %s /etc /run /var /tmp /opt/ds-stack",
        cluster.token,
        key,
    )
    assert sorted(holds.stdout.splitlines()) == [
        REMOTE,
        "/run/ds-stack-spark/environment",
        "/run/ds-stack-spark/key.pem",
    ]


@pytest.mark.usefixtures("cluster")
def test_what_listens_for_others(host: Host) -> None:
    """nginx, with no old TLS; and Spark Connect itself for this machine alone."""
    assert host.socket("tcp://0.0.0.0:15443").is_listening
    assert not host.socket("tcp://0.0.0.0:15002").is_listening
    old = host.run("openssl s_client -connect 127.0.0.1:15443 -tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null")
    assert old.rc == 1
    assert not host.service("nginx").is_enabled
    assert not host.service("nginx").is_running


@pytest.mark.usefixtures("cluster")
def test_a_start_once_more_disturbs_nobody(host: Host) -> None:
    before = host.check_output("systemctl show --property=MainPID ds-stack-spark-connect")
    host.check_output(START)
    assert host.check_output("systemctl show --property=MainPID ds-stack-spark-connect") == before


def test_it_stops_when_nobody_uses_it(host: Host, account: Account, cluster: Cluster) -> None:
    """A job keeps it, and an open session without one does not."""
    host.check_output("systemd-run --quiet --collect --unit=busy --uid=alice %s -c %s", PYTHON, AT_WORK)
    invocation = host.check_output("systemctl show --property=InvocationID --value busy")

    def said() -> str:
        return str(host.check_output("journalctl --output=cat _SYSTEMD_INVOCATION_ID=%s", invocation))

    wait_until(lambda: f"there: {SPARK}" in said(), 90, said)
    account.start(cluster, idle_minutes=0.1)  # which disturbs nobody
    assert host.check_output("python3 -c %s", JOBS) == "1"
    wait_until(lambda: "done: [Row(" in said(), 120, said)
    assert host.service("ds-stack-spark-connect").is_running
    wait_until(lambda: not host.file("/run/ds-stack-spark").exists, 60, said)
    assert host.service("busy").is_running  # the notebook is still open
    assert not any(host.service(f"ds-stack-spark-{one}").is_running for one in ("connect", "proxy"))
    assert "Nobody has used Spark Connect for 0.1 minutes: it stops." in host.check_output(
        "journalctl --output=cat --unit=ds-stack-spark-idle --lines=5"
    )
    assert "cannot be reached" in refusal(host)
