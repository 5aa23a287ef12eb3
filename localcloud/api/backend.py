"""The EC2 backend: moto's, with the calls overridden that touch machines, disks and images."""

import contextlib
import hashlib
import time
from datetime import datetime, timezone
from typing import Any, ClassVar

from moto.ec2.exceptions import (
    DependencyViolationError,
    EC2ClientError,
    InvalidAMIIdError,
    InvalidVolumeAttachmentError,
    VolumeInUseError,
)
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_block_store import Snapshot, Volume, VolumeAttachment
from moto.ec2.models.instances import Reservation

from localcloud.api.images import LocalAmi
from localcloud.api.instances import LocalInstance
from localcloud.api.owner import DEBIAN_OWNER
from localcloud.cloud import Cloud, log
from localcloud.errors import LocalCloudError
from localcloud.machine import Disk
from localcloud.root_disks import BASE

GP3_THROUGHPUT = 125
DETACH_SECONDS = 300
#: moto's stand-in for a missing client token.
NO_CLIENT_TOKEN = "ABCDE"  # noqa: S105 (not a secret)


def base_ami_id(layer: str) -> str:
    """The id of the Debian AMI: it changes exactly when the base image's content (digest) does."""
    return f"ami-{hashlib.sha256(layer.encode()).hexdigest()[:17]}"


class LocalEC2(EC2Backend):
    """EC2 of one region."""

    __module__ = "moto.ec2.models"
    cloud: ClassVar[Cloud]

    def __init__(self, region_name: str, account_id: str) -> None:
        self._by_client_token: dict[str, Reservation] = {}
        super().__init__(region_name, account_id)

    # --- instances -----------------------------------------------------------------------------

    def run_instances(
        self,
        image_id: str,
        count: int,
        user_data: Any,
        security_group_names: list[str],
        **options: Any,
    ) -> Reservation:
        """RunInstances."""
        token = options.get("client_token") or NO_CLIENT_TOKEN
        if token != NO_CLIENT_TOKEN and token in self._by_client_token:
            return self._by_client_token[token]
        template = options.get("launch_template")
        wanted = image_id or (self._get_template_from_args(template).image_id if template else None)
        if wanted not in self.amis:
            raise InvalidAMIIdError([str(wanted)])
        if self.amis[wanted].state != "available":
            raise EC2ClientError("InvalidAMIID.Unavailable", f"The image id '[{wanted}]' is not available")
        if options.get("key_name"):
            self.describe_key_pairs(key_names=[options["key_name"]])
        self._place(options)
        before = set(self.reservations)
        try:
            reservation = super().run_instances(image_id, count, user_data, security_group_names, **options)
            for instance in reservation.instances:
                instance.ensure_root_disk()
        except Exception:
            self._forget(set(self.reservations) - before)
            raise
        for instance in reservation.instances:
            instance.launch()
        if token != NO_CLIENT_TOKEN:
            self._by_client_token[token] = reservation
        return reservation

    def _forget(self, reservations: set[str]) -> None:
        """moto has made instances before it finds out that it must refuse them."""
        for identifier in reservations:
            for instance in self.reservations[identifier].instances:
                instance.discard()
            del self.reservations[identifier]

    def _place(self, options: dict[str, Any]) -> None:
        """Without a subnet moto goes back to EC2 before VPCs; AWS takes the default subnet."""
        interfaces = options.get("nics") or []
        if options.get("subnet_id") or any("SubnetId" in n or "NetworkInterfaceId" in n for n in interfaces):
            return
        zone = options.get("placement") or f"{self.region_name}a"
        subnet = self.get_default_subnets().get(zone)
        if subnet is None:
            raise EC2ClientError("MissingInput", f"No default subnet in {zone}: give a subnet")
        if interfaces:
            for interface in interfaces:
                interface["SubnetId"] = subnet.id
        else:
            options["subnet_id"] = subnet.id

    def local_instances(self) -> list[LocalInstance]:
        """All instances of this region, also terminated ones."""
        return [instance for instance in self.all_instances() if isinstance(instance, LocalInstance)]

    def synchronise(self) -> None:
        """Bring security groups and public addresses of all regions into force. Needs the lock."""
        addresses = {}
        for backend in backends():
            for instance in backend.local_instances():
                if not instance.machine or not instance.machine.pid:
                    continue
                try:
                    instance.apply_rules()
                except LocalCloudError:  # the machine ended this moment
                    log.exception("no rules for %s", instance.id)
                for nic in instance.nics.values():
                    if nic.public_ip:
                        addresses[nic.public_ip] = nic.private_ip_address
        self.cloud.network.map_public_addresses(addresses)

    # --- disks ---------------------------------------------------------------------------------

    def create_volume(self, size: int, zone_name: str, *arguments: Any, **options: Any) -> Volume:
        """CreateVolume, and the disks of RunInstances."""
        volume = super().create_volume(size, zone_name, *arguments, **options)
        volume.size = int(volume.size)
        if volume.volume_type == "gp3" and not volume.throughput:
            volume.throughput = GP3_THROUGHPUT
        volume.snapshot_id = volume.snapshot_id or ""  # AWS' answer has the field also without a snapshot
        if volume.snapshot_id:
            self.cloud.volumes.restore(volume.snapshot_id, volume.id, volume.size)
        return volume

    def attach_volume(
        self, volume_id: str, instance_id: str, device_path: str, delete_on_termination: bool = False
    ) -> VolumeAttachment | None:
        """AttachVolume, and the disks of RunInstances."""
        volume = self.get_volume(volume_id)
        instance = self.get_instance(instance_id)
        if volume.attachment:
            raise VolumeInUseError(volume_id, volume.attachment.instance.id)
        if volume.zone and volume.zone.name != instance.availability_zone:
            raise EC2ClientError(
                "InvalidVolume.ZoneMismatch",
                f"The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'",
            )
        if device_path in instance.block_device_mapping:
            raise EC2ClientError("InvalidParameterValue", f"Device {device_path} is already in use")
        if instance.state not in ("pending", "running", "stopped"):
            raise EC2ClientError("IncorrectState", f"The instance '{instance_id}' is {instance.state}")
        is_root = device_path == instance.root_device_name
        volume.disk = None if is_root else self._new_disk(instance, volume, device_path)
        attachment = super().attach_volume(volume_id, instance_id, device_path, delete_on_termination)
        if attachment:
            attachment.delete_on_termination = delete_on_termination
        if attachment and volume.disk and instance.state != "stopped":
            attachment.status = "attaching"
            instance.do(lambda: self._plug(instance, attachment))
        return attachment

    def _new_disk(self, instance: LocalInstance, volume: Volume, device_path: str) -> Disk:
        taken = {disk.number for disk in instance.disks().values()}
        number = next(n for n in range(1, 100) if n not in taken)
        return Disk(volume.id, device_path, self.cloud.volumes.attach(volume.id, volume.size), number)

    def disk(self, volume_id: str) -> Disk | None:
        """A data volume's place in its instance; None for a root disk."""
        volume = self.volumes.get(volume_id)
        return getattr(volume, "disk", None) if volume and volume.attachment else None

    def _plug(self, instance: LocalInstance, attachment: VolumeAttachment) -> None:
        disk = self.disk(attachment.volume.id)
        if disk and instance.machine and instance.machine.pid:
            instance.machine.plug(disk)
        attachment.status = "attached"

    def detach_volume(self, volume_id: str, instance_id: str, device_path: str) -> VolumeAttachment:
        """DetachVolume. As on AWS, a volume that is mounted in a running machine stays busy until then."""
        volume = self.get_volume(volume_id)
        if not volume.attachment:
            raise InvalidVolumeAttachmentError(volume_id, instance_id)
        instance = self.get_instance(instance_id or volume.attachment.instance.id)
        disk = self.disk(volume_id)
        if disk is None or not instance.machine or not instance.machine.pid:
            attachment = super().detach_volume(volume_id, instance.id, device_path)
            self.cloud.volumes.detach(volume_id)
            return attachment
        attachment = volume.attachment
        if attachment.status != "detaching":
            attachment.status = "detaching"
            self.cloud.submit(lambda: self._detach_when_free(instance, volume, disk))
        return attachment

    def _detach_when_free(self, instance: LocalInstance, volume: Volume, disk: Disk) -> None:
        free = self.cloud.volumes.wait_until_unmounted(volume.id, DETACH_SECONDS)
        with self.cloud.lock:
            if not volume.attachment or volume.attachment.status != "detaching":
                return
            if not free:
                volume.attachment.status = "attached"
                return
            if instance.machine and instance.machine.pid:
                instance.machine.unplug(disk)
            super().detach_volume(volume.id, instance.id, disk.device)
            self.cloud.volumes.detach(volume.id)

    def delete_volume(self, volume_id: str) -> Volume:
        """DeleteVolume."""
        volume = super().delete_volume(volume_id)
        self.cloud.volumes.delete(volume_id)
        return volume

    def modify_volume(self, volume_id: str, *arguments: Any, **options: Any) -> Volume:
        """ModifyVolume."""
        before = self.get_volume(volume_id).size
        volume = super().modify_volume(volume_id, *arguments, **options)
        volume.size = int(volume.size)
        if volume.size < before:
            volume.size = before
            raise EC2ClientError("InvalidParameterValue", "New size cannot be smaller than existing size")
        self.cloud.volumes.resize(volume_id, volume.size)
        return volume

    def create_snapshot(
        self, volume_id: str, description: str, owner_id: str | None = None, from_ami: str | None = None
    ) -> Snapshot:
        """CreateSnapshot, and the snapshot that belongs to an AMI."""
        snapshot = super().create_snapshot(volume_id, description, owner_id, from_ami)
        if not from_ami:
            with self._held_still(volume_id):
                self.cloud.volumes.snapshot(volume_id, snapshot.id)
            if fault := self.cloud.faults.take("snapshot"):
                snapshot.status = fault.name
        return snapshot

    def _held_still(self, volume_id: str) -> contextlib.AbstractContextManager[None]:
        attachment, disk = self.get_volume(volume_id).attachment, self.disk(volume_id)
        machine = attachment.instance.machine if attachment else None
        return machine.frozen(disk) if machine and disk else contextlib.nullcontext()

    def delete_snapshot(self, snapshot_id: str) -> Snapshot:
        """DeleteSnapshot."""
        snapshot = super().delete_snapshot(snapshot_id)
        self.cloud.volumes.delete(snapshot_id)
        return snapshot

    # --- images --------------------------------------------------------------------------------

    def _load_amis(self) -> None:
        """One public AMI: Debian 12, as Debian registers it."""
        base = self.cloud.base
        moment = datetime.fromtimestamp(base.built, timezone.utc)
        ami = LocalAmi(
            self,
            base_ami_id(base.digest),
            name=f"debian-12-amd64-{moment:%Y%m%d-%H%M}",
            description="Debian 12",
            owner_id=DEBIAN_OWNER,
            owner_alias="amazon",
            public=True,
            architecture="x86_64",
            image_location=f"{DEBIAN_OWNER}/debian-12",
            creation_date=moment.replace(tzinfo=None),
        )
        ami.layers = (BASE,)
        self.amis[ami.id] = ami

    def create_image(
        self,
        instance_id: str,
        name: str,
        description: str,
        tag_specifications: list[dict[str, Any]],
        no_reboot: bool = False,
    ) -> LocalAmi:
        """CreateImage: the image is ``pending`` until its layer is there."""
        for other in self.amis.values():
            if other.name == name and other.owner_id == self.account_id:
                raise EC2ClientError(
                    "InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {other.id}"
                )
        instance = self.get_instance(instance_id)
        if instance.state not in ("running", "stopped"):
            raise EC2ClientError("IncorrectState", f"The instance '{instance_id}' is {instance.state}")
        tags: dict[str, list[dict[str, str]]] = {"image": [], "snapshot": []}
        for specification in tag_specifications:
            tags.setdefault(specification["ResourceType"], []).extend(specification["Tags"])
        ami = super().create_image(
            instance_id, name, description, [{"ResourceType": "image", "Tags": tags["image"]}]
        )
        ami.ebs_snapshot.add_tags({tag["Key"]: tag["Value"] for tag in tags["snapshot"]})
        ami.state = ami.ebs_snapshot.status = "pending"
        instance.do(lambda: self._make_image(instance, ami, no_reboot))
        return ami

    def _make_image(self, instance: LocalInstance, ami: LocalAmi, no_reboot: bool) -> None:
        running, began = instance.state == "running" and not no_reboot, time.monotonic()
        try:
            if not instance.machine:
                raise LocalCloudError(f"{instance.id} has never booted")
            if running:
                instance.machine.halt()
            ami.layers = instance.machine.image(ami.id)
        except LocalCloudError as error:
            log.exception("no image of %s", instance.id)
            state = ("failed", "error")
            ami.state_reason = {"Code": "Server.InternalError", "Message": str(error)}
        else:
            state = ("available", "completed")
        with self.cloud.lock:
            ami.state, ami.ebs_snapshot.status = state
        log.info("%s of %s is %s after %.1f s", ami.id, instance.id, state[0], time.monotonic() - began)
        if running:
            instance.boot_again()

    def deregister_image(self, ami_id: str) -> None:
        """DeregisterImage. Its layers live on while an instance or another image stands on them."""
        super().deregister_image(ami_id)
        self.cloud.submit(self.prune_layers)

    def prune_layers(self) -> None:
        """Remove the layers that no AMI and no instance uses any more."""
        self.cloud.root_disks.prune(self._layers_in_use)

    def _layers_in_use(self) -> set[str]:
        with self.cloud.lock:
            disks = [i.root_disk for backend in backends() for i in backend.local_instances() if i.root_disk]
            images = [ami for backend in backends() for ami in backend.amis.values()]
            return {layer for user in (*disks, *images) for layer in user.layers}

    # --- what AWS refuses and moto does not ------------------------------------------------------

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> None:
        """DeleteSecurityGroup."""
        for nic in self.enis.values():
            if any(group_id == group.id for group in nic._group_set):
                raise DependencyViolationError(f"resource {group_id} has a dependent object")
        super().delete_security_group(name, group_id)

    def delete_subnet(self, subnet_id: str) -> Any:
        """DeleteSubnet."""
        if any(nic.subnet.id == subnet_id for nic in self.enis.values()):
            raise DependencyViolationError(
                f"The subnet '{subnet_id}' has dependencies and cannot be deleted."
            )
        return super().delete_subnet(subnet_id)

    def delete_vpc(self, vpc_id: str) -> Any:
        """DeleteVpc, with its bridge when no other VPC has the same CIDR."""
        vpc = super().delete_vpc(vpc_id)
        if not any(
            other.cidr_block == vpc.cidr_block for backend in backends() for other in backend.vpcs.values()
        ):
            self.cloud.network.remove_vpc_network(vpc.cidr_block)
        return vpc

    # --- addresses -------------------------------------------------------------------------------

    def take_public_address(self) -> str:
        """A free public address."""
        used = {nic.public_ip for backend in backends() for nic in backend.enis.values() if nic.public_ip}
        used |= {address.public_ip for backend in backends() for address in backend.addresses}
        try:
            return self.cloud.public_addresses.take(used)
        except IndexError as error:
            raise EC2ClientError("AddressLimitExceeded", str(error)) from error

    def private_address_in_use(self, address: str) -> bool:
        """Whether a machine of any VPC has the address: VPCs with the same CIDR share a bridge."""
        return any(
            instance.state != "terminated" and instance.private_ip == address
            for backend in backends()
            for instance in backend.local_instances()
        )


def backends() -> list[LocalEC2]:
    """The backends of all regions that were used so far."""
    from moto.ec2.models import ec2_backends  # noqa: PLC0415 (patched after this module is imported)

    return [backend for account in list(ec2_backends.values()) for backend in list(account.values())]
