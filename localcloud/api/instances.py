"""EC2 instances: moto keeps the books, a `Machine` does the work."""

import base64
import contextlib
import copy
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import Instance, InstanceState, StateReason
from moto.iam.models import iam_backends

from localcloud import security_groups
from localcloud.api.rules import rules_of
from localcloud.cloud import Cloud, log, logged
from localcloud.credentials import Holder
from localcloud.errors import LocalCloudError
from localcloud.imds import Metadata, RoleCredentials
from localcloud.machine import REBOOTED, Disk, Machine, Spec
from localcloud.root_disks import RootDisk

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


class Books(Protocol):
    """What an instance asks of moto's EC2 backend that keeps it."""

    cloud: Cloud
    addresses: list[Any]
    amis: dict[str, Any]
    key_pairs: dict[str, Any]
    partition: str

    def get_vpc(self, vpc_id: str) -> Any:
        """A network."""

    def all_instances(self) -> list[Any]:
        """The instances of the region."""

    def disk(self, volume_id: str) -> Disk | None:
        """A data volume's place in its instance; None for a root disk."""

    def synchronise(self) -> None:
        """Bring security groups and public addresses of all regions into force. Needs the lock."""

    def prune_layers(self) -> None:
        """Remove the layers that no AMI and no instance uses any more."""


class LocalInstance(Instance):
    """An instance whose life is that of a container.

    All work on the container is done by one thread of the instance's own, in the order of the calls.
    """

    __module__ = "moto.ec2.models"  # moto's metaclass reads the service's name out of it
    ec2_backend: Books

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._state = InstanceState("pending", CODES["pending"])
        self.reachable = False
        self.machine: Machine | None = None
        self.root_disk: RootDisk | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=self.id)
        for nic in self.nics.values():
            if nic.description == "Primary network interface":
                nic.delete_on_termination = True  # AWS' default for an interface made with the instance

    # --- what moto keeps in two places ---------------------------------------------------------

    @property
    def security_groups(self) -> list[Any]:
        """The primary interface's groups: moto keeps a second list, which then differs."""
        nics = self.__dict__.get("nics")
        return nics[0]._group_set if nics and 0 in nics else self._first_groups

    @security_groups.setter
    def security_groups(self, groups: list[Any]) -> None:
        nics = self.__dict__.get("nics")
        if nics and 0 in nics:
            nics[0]._group_set = list(groups)
        else:
            self._first_groups = list(groups)

    @property
    def instance_status(self) -> dict[str, Any]:
        """``ok`` as soon as sshd answers."""
        if self.state != "running":
            return {"Status": "not-applicable"}
        status, reachability = ("ok", "passed") if self.reachable else ("initializing", "initializing")
        return {"Status": status, "Details": [{"Name": "reachability", "Status": reachability}]}

    def setup_defaults(self) -> None:
        """The root disk of a RunInstances without block device mappings."""
        self.ensure_root_disk()

    def ensure_root_disk(self) -> None:
        """Add the image's own root disk where RunInstances did not describe one."""
        if self.root_device_name not in self.block_device_mapping:
            self.add_block_device(None, self.root_device_name, None, False, True, None, "gp3")

    def add_block_device(  # noqa: PLR0917 (moto's own)
        self,
        size: int | None,
        device_path: str,
        snapshot_id: str | None,
        encrypted: bool,
        delete_on_termination: bool,
        kms_key_id: str | None,
        volume_type: str | None,
    ) -> None:
        """A disk described in RunInstances; the root disk is by default as large as the image's."""
        if device_path == self.root_device_name:
            image = self.ec2_backend.amis[self.image_id]
            size = size or image.root_size
            if int(size) < image.root_size:
                raise EC2ClientError(
                    "InvalidBlockDeviceMapping",
                    f"Volume of size {size}GB is smaller than snapshot '{image.ebs_snapshot.id}',"
                    f" expect size >= {image.root_size}GB",
                )
        super().add_block_device(
            size, device_path, snapshot_id, encrypted, delete_on_termination, kms_key_id, volume_type or "gp3"
        )

    # --- the life of an instance; each call returns at once ---------------------------------------

    def launch(self) -> None:
        """Boot for the first time. The image's layers are held from now on, also when it is deregistered."""
        layers = self.ec2_backend.amis[self.image_id].layers
        self.root_disk = self.ec2_backend.cloud.root_disks.disk(self.id, layers)
        self._do(self._boot)

    def stand_on(self, layer: str) -> None:
        """Have a further layer below the root disk, over the image's. Under the lock of the launch."""
        layers = self.ec2_backend.amis[self.image_id].layers
        self.root_disk = self.ec2_backend.cloud.root_disks.disk(self.id, (layer, *layers))

    def discard(self) -> None:
        """Undo an instance that was refused before its launch."""
        self._finish_termination()
        self._worker.shutdown(wait=False)

    def start(self) -> InstanceState:
        """StartInstances."""
        if self.state in ("pending", "running"):
            return copy.copy(self._state)
        self._require("stopped", "started")
        previous = super().start()
        self._keep_elastic_addresses()
        self._set("pending")
        self._do(self._boot)
        return previous

    def stop(self) -> InstanceState:
        """StopInstances."""
        if self.state in ("stopping", "stopped"):
            return copy.copy(self._state)
        self._require("running", "stopped")
        previous = super().stop()
        self._keep_elastic_addresses()
        self._set("stopping")
        self._do(self._halt)
        return previous

    def reboot(self) -> None:
        """RebootInstances."""
        self._require("running", "rebooted")
        self._do(self._reboot)

    def terminate(self) -> InstanceState:
        """TerminateInstances. Disks and interfaces go when the machine is gone, not before."""
        previous = copy.copy(self._state)
        if self.state not in ("shutting-down", "terminated"):
            self._set("shutting-down")
            self._do(self._remove)
        return previous

    def _keep_elastic_addresses(self) -> None:
        """moto takes every public address away at a stop; an elastic one stays."""
        for address in self.ec2_backend.addresses:
            if address.eni in self.nics.values():
                address.eni.public_ip = address.public_ip

    def _require(self, state: str, participle: str) -> None:
        if self.state != state:
            raise EC2ClientError(
                "IncorrectInstanceState",
                f"The instance '{self.id}' is not in a state from which it can be {participle}: {self.state}",
            )

    def _set(self, state: str) -> None:
        self._state.name, self._state.code = state, CODES[state]

    def _do(self, job: Callable[[], object]) -> None:
        self._worker.submit(logged, job)

    def do(self, job: Callable[[], object]) -> None:
        """Do something in the order of this instance's other work."""
        self._do(job)

    def boot_again(self) -> None:
        """Boot after an image was made; for jobs given to `do`."""
        self._boot()

    # --- the work, in the instance's own thread ---------------------------------------------------

    def _boot(self) -> None:
        cloud, began = self.ec2_backend.cloud, time.monotonic()
        with cloud.lock:
            root_disk = self.root_disk
            if self.state not in ("pending", "running") or root_disk is None:
                return
            first = self.machine is None
            cidr = self.ec2_backend.get_vpc(self.vpc_id).cidr_block
        fault = cloud.faults.take("boot")
        try:
            if fault and fault.name == "fail":
                raise LocalCloudError(fault.message)
            if self.machine is None:
                spec = Spec(
                    instance_id=self.id,
                    hostname=self.private_dns_name.split(".")[0],
                    network=cloud.network.vpc_network(cidr),
                    address=str(self.private_ip),
                )
                self.machine = Machine(spec, root_disk, self.metadata)
            self.machine.boot(self._rules, self.disks, self._ended, sshd=not fault)
        except (LocalCloudError, OSError) as error:
            log.exception("instance %s does not boot", self.id)
            with cloud.lock:
                self._failed(first, str(error))
            return
        with cloud.lock:
            if self.state == "pending":
                self._set("running")
            self.ec2_backend.synchronise()
        log.info("%s runs after %.1f s", self.id, time.monotonic() - began)
        self.reachable = False
        cloud.submit(lambda: self._wait_for_ssh(began))

    def _failed(self, first: bool, message: str) -> None:
        if first:
            if self.machine:
                self.machine.remove()
            self._finish_termination()
        else:
            if self.machine:
                self.machine.halt()
            super().stop()
        self.state_reason = StateReason(f"Server.InternalError: {message}", "Server.InternalError")

    def _wait_for_ssh(self, began: float) -> None:
        if self.machine and self.machine.wait_for_ssh():
            self.reachable = True
            log.info("%s answers by SSH after %.1f s", self.id, time.monotonic() - began)

    def _halt(self) -> None:
        if self.machine:
            self.machine.halt()
        with self.ec2_backend.cloud.lock:
            if self.state == "stopping":
                self._set("stopped")
        log.info("%s is stopped", self.id)

    def _reboot(self) -> None:
        if self.state != "running" or not self.machine:
            return
        self.machine.halt()
        self._boot()

    def _remove(self) -> None:
        if self.machine:
            self.machine.remove()
        with self.ec2_backend.cloud.lock:
            self._finish_termination()
            self.ec2_backend.synchronise()
        log.info("%s is terminated", self.id)
        self._worker.shutdown(wait=False)

    def _finish_termination(self) -> None:
        """moto's part: interfaces, disks, profile; sets ``terminated``."""
        super().terminate()
        self.root_disk = None
        self.ec2_backend.cloud.submit(self.ec2_backend.prune_layers)

    def _ended(self, pid: int) -> None:
        """The machine ended by itself; called from the watcher's thread."""
        with contextlib.suppress(RuntimeError):  # the worker is closed once the instance is terminated
            self._do(lambda: self._after_end(pid))

    def _after_end(self, pid: int) -> None:
        if not self.machine or self.machine.pid != pid:
            return
        code = self.machine.exit_code()
        self.machine.release()
        log.info("%s ended by itself with %d", self.id, code)
        if code == REBOOTED:
            self._boot()
        elif self.instance_initiated_shutdown_behavior == "terminate":
            with self.ec2_backend.cloud.lock:
                self._set("shutting-down")
            self._remove()
        else:
            with self.ec2_backend.cloud.lock:
                super().stop()
                self._keep_elastic_addresses()
                self.state_reason = StateReason(
                    "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
                    "Client.InstanceInitiatedShutdown",
                )
                self.ec2_backend.synchronise()

    # --- what the machine is told ------------------------------------------------------------------

    def _rules(self) -> str:
        with self.ec2_backend.cloud.lock:
            return security_groups.chains(
                rules_of(self.security_groups, self.ec2_backend, egress=False),
                rules_of(self.security_groups, self.ec2_backend, egress=True),
            )

    def disks(self) -> dict[str, Disk]:
        """The attached data volumes by volume id."""
        with self.ec2_backend.cloud.lock:
            return {
                block.volume_id: disk
                for block in self.block_device_mapping.values()
                if (disk := self.ec2_backend.disk(block.volume_id))
            }

    def apply_rules(self) -> None:
        """Bring the security groups of a running machine up to date."""
        if self.machine and self.machine.pid:
            self.machine.apply_rules(self._rules())

    def metadata(self) -> Metadata:
        """What the metadata service says now."""
        with self.ec2_backend.cloud.lock:
            key = self.ec2_backend.key_pairs.get(self.key_name) if self.key_name else None
            tags = {tag["key"]: tag["value"] for tag in self.get_tags()}
            arn = self._profile_arn()
            return Metadata(
                instance_id=self.id,
                image_id=self.image_id,
                instance_type=self.instance_type,
                region=self.region_name,
                availability_zone=str(self.availability_zone),
                account_id=self.owner_id,
                hostname=self.private_dns_name,
                private_address=str(self.private_ip),
                public_address=self.public_ip,
                public_hostname=self.public_dns_name,
                mac=self.nics[0].mac_address,
                subnet_id=self.subnet_id or "",
                vpc_id=self.vpc_id or "",
                security_groups=tuple(group.name for group in self.security_groups),
                tags=tags if self.metadata_options.instance_metadata_tags == "enabled" else None,
                public_key=(key.key_name, key.public_key.strip()) if key else None,
                credentials=self._credentials(arn),
                profile_arn=arn,
                user_data=base64.b64decode(str(self.user_data)) if self.user_data else None,
                launch_index=self.ami_launch_index,
                tokens_required=self.metadata_options.http_tokens == "required",
                enabled=self.metadata_options.http_endpoint == "enabled",
            )

    def _profile_arn(self) -> str | None:
        profile = self.iam_instance_profile
        return profile.get("Arn") if isinstance(profile, dict) else None

    def _credentials(self, profile_arn: str | None) -> RoleCredentials | None:
        backend = iam_backends[self.owner_id][self.ec2_backend.partition]
        for profile in backend.instance_profiles.values():
            if profile.arn == profile_arn and profile.roles:
                holder = Holder(self.owner_id, profile.roles[0].name)
                return self.ec2_backend.cloud.credentials.issue(self.id, holder)
        return None
