"""A node's part of a Spark cluster, as texts: configuration as EMR writes it, and units. Pure functions.

Spark's own master and workers (standalone) stand for YARN, which EMR has.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.spark_layer import CONF, JAVA_HOME, SPARK_HOME

MASTER_PORT = 7077
STATUS_PORT = 8080
#: What a worker has to give, whatever its instance type says: the whole cluster shares one machine.
CORES = 1
MEMORY_MIB = 1024
EXECUTOR_MIB = 768

Configurations = Iterable[Mapping[str, Any]]


def master_url(primary: str) -> str:
    """Address of the master on the primary node."""
    return f"spark://{primary}:{MASTER_PORT}"


def _properties(configurations: Configurations, classification: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in configurations or ():
        if one.get("Classification") == classification:
            found.update(one.get("Properties") or {})
    return found


def defaults(configurations: Configurations, primary: str) -> str:
    """spark-defaults.conf: what makes it this cluster, and what RunJobFlow's configurations say over it."""
    properties = {
        "spark.executor.cores": str(CORES),
        "spark.executor.memory": f"{EXECUTOR_MIB}m",
        **_properties(configurations, "spark-defaults"),
        "spark.master": master_url(primary),
    }
    return "".join(f"{name} {value}\n" for name, value in sorted(properties.items()))


def environment(configurations: Configurations, address: str) -> str:
    """spark-env.sh of the node with this address."""
    variables = {"JAVA_HOME": JAVA_HOME, "SPARK_LOCAL_IP": address, "SPARK_LOCAL_HOSTNAME": address}
    for one in configurations or ():
        if one.get("Classification") == "spark-env":
            variables |= _properties(one.get("Configurations") or (), "export")
    return "".join(f"export {name}={_quoted(value)}\n" for name, value in sorted(variables.items()))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def unit(role: str, address: str, primary: str) -> str:
    """The systemd unit of the node's daemon. ``role``: EMR's; MASTER has the master, all others a worker."""
    if role == "MASTER":
        name, program = "master", "org.apache.spark.deploy.master.Master"
        arguments = f"--host {address} --port {MASTER_PORT} --webui-port {STATUS_PORT}"
    else:
        name, program = "worker", "org.apache.spark.deploy.worker.Worker"
        arguments = (
            f"--host {address} --cores {CORES} --memory {MEMORY_MIB}m --work-dir /var/lib/spark"
            f" {master_url(primary)}"
        )
    return f"""[Unit]
Description=Spark {name}

[Service]
User=spark
StateDirectory=spark
Environment=SPARK_DAEMON_MEMORY=256m
ExecStart={SPARK_HOME}/bin/spark-class {program} {arguments}
Restart=on-failure
"""


def script(role: str, configurations: Configurations, address: str, primary: str) -> str:
    """A shell script that sets up a node and starts its daemon."""
    files = {
        f"{CONF}/spark-defaults.conf": defaults(configurations, primary),
        f"{CONF}/spark-env.sh": environment(configurations, address),
        "/etc/systemd/system/spark.service": unit(role, address, primary),
    }
    write = [f"cat > {path} <<'END-OF-FILE'\n{text}END-OF-FILE" for path, text in files.items()]
    return "\n".join(
        [
            "set -eu",
            "id spark >/dev/null 2>&1 || useradd --system --home-dir /var/lib/spark spark",
            f"mkdir -p {CONF}",
            *write,
            "systemctl daemon-reload",
            "systemctl start spark.service",
            "",
        ]
    )


def command(step: Mapping[str, Any]) -> list[str]:
    """What a step of EMR's command runner runs on the primary node. Raises ValueError for another jar."""
    jar, arguments = step.get("Jar"), [str(one) for one in step.get("Args") or ()]
    if jar != "command-runner.jar" or not arguments:
        raise ValueError(f"this local cloud runs steps of command-runner.jar only, and no {jar}")
    return arguments[1:] if arguments[0] == "sudo" else arguments  # it is root's already


def workers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The living workers in what the master says of itself."""
    return [one for one in status["workers"] if one["state"] == "ALIVE"]


def load(status: Mapping[str, Any]) -> tuple[int, int, int]:
    """How many applications the master has, and how many of its living workers' cores are in use and free."""
    used = sum(one["coresused"] for one in workers(status))
    return len(status["activeapps"]), used, sum(one["cores"] for one in workers(status)) - used
