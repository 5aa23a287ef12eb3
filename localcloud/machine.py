"""One instance as a podman system container: boot, halt, image, devices. Knows nothing of the API."""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from localcloud import security_groups
from localcloud.imds import Metadata
from localcloud.imds_server import MetadataServer
from localcloud.netns import inside
from localcloud.nftables import Nft
from localcloud.paths import LABEL, PREFIX
from localcloud.podman import container_exists, podman
from localcloud.processes import run, succeeds
from localcloud.root_disks import Layers, RootDisk

#: What systemd, sshd, sandboxed services, and root who sees all processes need beyond podman's defaults.
CAPABILITIES = "SYS_ADMIN,AUDIT_WRITE,NET_ADMIN,NET_RAW,NET_BIND_SERVICE,SYS_BOOT,SYS_PTRACE,SYS_RESOURCE"
LOOP_MAJOR = 7
#: PID 1 of a container ends with this code when the machine inside was rebooted.
REBOOTED = 129
STOP_SECONDS = 30
SSH_SECONDS = 120

#: Runs in the machine's mount namespace before its first process. The boot id of a container is the
#: host's; a fresh one lets `reboot` modules see that the machine was rebooted.
PREPARE = """
rm -f /etc/cloud/cloud-init.disabled
cat /proc/sys/kernel/random/uuid > /dev/.boot_id
mount --bind /dev/.boot_id /proc/sys/kernel/random/boot_id
"""
WITHOUT_SSHD = "mkdir -p /run/systemd/system; ln -sf /dev/null /run/systemd/system/ssh.service"


@dataclass(frozen=True)
class Spec:
    """What stays the same over a machine's life.

    Attributes:
        instance_id: for example ``i-0123456789abcdef0``.
        hostname: short host name.
        network: podman network.
        address: private IPv4 address in that network.
    """

    instance_id: str
    hostname: str
    network: str
    address: str

    @property
    def container(self) -> str:
        """Name of the container."""
        return f"{PREFIX}{self.instance_id}"


@dataclass(frozen=True)
class Disk:
    """A data volume as the machine sees it.

    Attributes:
        volume: for example ``vol-0123456789abcdef0``.
        device: the name given in AttachVolume, for example ``/dev/sdf``.
        loop: loop device on the host.
        number: N of ``/dev/nvmeNn1``.
    """

    volume: str
    device: str
    loop: str
    number: int

    def links(self) -> dict[str, str]:
        """Symbolic links as udev makes them on EC2: path → target."""
        serial = self.volume.replace("-", "")
        by_id = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}"
        return {self.device: self.node, by_id: self.node, f"{by_id}_1": self.node}

    @property
    def node(self) -> str:
        """The block device inside."""
        return f"/dev/nvme{self.number}n1"


class Machine:
    """A container and what hangs on its network namespace. Methods are called one at a time."""

    def __init__(self, spec: Spec, root_disk: RootDisk, metadata: Callable[[], Metadata]) -> None:
        """Nothing is made yet; see `boot`. ``metadata`` is asked at every metadata request."""
        self.spec = spec
        self._root_disk = root_disk
        self.pid: int | None = None
        self._metadata = metadata
        self._nft: Nft | None = None
        self._imds: MetadataServer | None = None

    def boot(
        self,
        rules: Callable[[], str],
        disks: Callable[[], Mapping[str, Disk]],
        exited: Callable[[int], None],
        sshd: bool = True,
    ) -> None:
        """Create the container if it is not there, wire it up, and only then start its first process.

        Args:
            rules: gives the security groups' chains.
            disks: gives the attached data volumes.
            exited: called with the exit code when the machine ends by itself.
            sshd: False leaves sshd out of this boot (fault injection).

        Raises LocalCloudError.
        """
        name, root = self.spec.container, self._root_disk.mount()
        if not container_exists(name):
            podman(
                "create", "--name", name, "--label", LABEL, "--systemd=always",
                "--hostname", self.spec.hostname, "--network", self.spec.network, "--ip", self.spec.address,
                "--cap-add", CAPABILITIES, "--security-opt", "seccomp=unconfined",
                "--device-cgroup-rule", f"b {LOOP_MAJOR}:* rmw", "--stop-timeout", str(STOP_SECONDS),
                "--env", "container=podman", "--rootfs", str(root), "/sbin/init",
            )  # fmt: skip
        podman("init", name)  # namespaces exist, the first process does not run yet
        pid = int(podman("inspect", "--format", "{{.State.Pid}}", name))
        self._nft = inside(pid, Nft)
        self.pid = pid
        self.apply_rules(rules())
        self._imds = MetadataServer(pid, self._nft, self._metadata)
        self._inside_mounts(PREPARE + ("" if sshd else WITHOUT_SSHD))
        for disk in disks().values():
            self.plug(disk)
        self._watch(pid, exited)
        podman("start", name)

    def _watch(self, pid: int, exited: Callable[[int], None]) -> None:
        descriptor = os.pidfd_open(pid)

        def body() -> None:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
            os.close(descriptor)
            if self.pid == pid:  # else we stopped it ourselves
                exited(pid)

        threading.Thread(target=body, name=f"watch-{self.spec.instance_id}", daemon=True).start()

    def exit_code(self) -> int:
        """Exit code of a machine that has ended by itself."""
        return int(podman("wait", self.spec.container))

    def apply_rules(self, chains: str) -> None:
        """Put the security groups into force. Nothing happens on a machine that does not run."""
        nft = self._nft
        if nft:
            nft.load(security_groups.TABLE, chains)

    def wait_for_ssh(self) -> bool:
        """Wait until sshd answers inside; False when the machine ends or time is up."""
        pid, end = self.pid, time.monotonic() + SSH_SECONDS
        while pid and self.pid == pid and time.monotonic() < end:
            try:
                if inside(pid, _ssh_banner) == b"SSH-":
                    return True
            except OSError:
                pass
            time.sleep(0.2)
        return False

    def plug(self, disk: Disk) -> None:
        """Make a data volume's device and links appear."""
        minor = os.minor(Path(disk.loop).stat().st_rdev)
        commands = [
            f"rm -f {disk.node}",
            "umask 117",  # `mknod -m` needs a /proc of this process's own PID namespace
            f"mknod {disk.node} b {LOOP_MAJOR} {minor}",
            f"chgrp disk {disk.node}",
            "umask 022",
            "mkdir -p /dev/disk/by-id",
        ]
        commands += [f"ln -sfn {target} {path}" for path, target in disk.links().items()]
        self._inside_mounts("\n".join(commands))

    def unplug(self, disk: Disk) -> None:
        """Take a data volume's device and links away."""
        self._inside_mounts(f"rm -f {disk.node} {' '.join(disk.links())}")

    @contextlib.contextmanager
    def frozen(self, disk: Disk) -> Iterator[None]:
        """Hold still what is mounted of a data volume, so that a copy of it is of one moment."""
        points = self._mount_points(disk) if self.pid else []
        held = [point for point in points if succeeds(*self._enter(), "fsfreeze", "--freeze", point)]
        try:
            yield
        finally:
            for point in held:
                succeeds(*self._enter(), "fsfreeze", "--unfreeze", point)

    def _mount_points(self, disk: Disk) -> list[str]:
        device = Path(disk.loop).stat().st_rdev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        lines = Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()
        # A file system that is mounted twice is frozen once.
        return [fields[4] for fields in map(str.split, lines) if fields[2] == wanted][:1]

    def _enter(self) -> tuple[str, ...]:
        return ("nsenter", "--target", str(self.pid), "--mount")

    def _inside_mounts(self, script: str) -> None:
        run(*self._enter(), "sh", "-ec", script)

    def release(self) -> None:
        """Let go of the machine's namespaces, because it has ended or is about to."""
        self.pid = None
        if self._imds:
            self._imds.close()
            self._imds = None
        if self._nft:
            self._nft.close()
            self._nft = None

    def halt(self) -> None:
        """Shut the machine down in order, or by force after 30 seconds."""
        self.pid = None  # the watcher must not take this for the machine's own doing
        succeeds("podman", "stop", "--time", str(STOP_SECONDS), self.spec.container)
        self.release()

    def remove(self) -> None:
        """Remove the machine with its root disk. Nothing is raised when it is already gone."""
        self.release()
        succeeds("podman", "rm", "--force", "--time", "0", self.spec.container)
        self._root_disk.remove()

    def image(self, layer: str) -> Layers:
        """Make an image of the root disk, whose newest layer gets this name; a running machine pauses.

        Raises LocalCloudError.
        """
        if not self.pid:
            return self._root_disk.keep(layer)
        podman("pause", self.spec.container)
        try:
            return self._root_disk.copy(layer)
        finally:
            podman("unpause", self.spec.container)


def _ssh_banner() -> bytes:
    with socket.create_connection(("127.0.0.1", 22), 2) as connection:
        return connection.recv(4)
