"""AMIs: moto keeps the books, `RootDisks` the layers."""

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.amis import Ami
from moto.ec2.responses import EC2Response

from localcloud.root_disks import Layers

ROOT_DEVICE = "/dev/xvda"
BASE_ROOT_SIZE = 8


class LocalAmi(Ami):
    """An AMI with the fields that moto leaves out.

    Attributes:
        root_size: GiB of the root disk.
        layers: what instances start from, the newest first.
        deprecation_time: set by EnableImageDeprecation.
    """

    __module__ = "moto.ec2.models"

    def __init__(self, backend: Any, ami_id: str, **options: Any) -> None:
        self.root_size = BASE_ROOT_SIZE
        self.layers: Layers = (ami_id,)
        self.deprecation_time: str | None = None
        self.deregistration_protection = "disabled"
        super().__init__(backend, ami_id, **options)
        self.root_device_type = "ebs"
        self.root_device_name = ROOT_DEVICE
        self.hypervisor = "xen"
        self.virtualization_type = "hvm"
        self.ena_support = True
        self.imds_support: str | None = None
        source = options.get("instance") or options.get("source_ami")
        if source is not None:
            self.root_size = _root_size(source)
        if isinstance(source, LocalAmi):
            self.layers = source.layers
        self.ebs_snapshot.volume.size = self.root_size

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The root disk."""
        return [
            {
                "DeviceName": self.root_device_name,
                "Ebs": {
                    "SnapshotId": self.ebs_snapshot.id,
                    "VolumeSize": self.root_size,
                    "DeleteOnTermination": True,
                    "VolumeType": "gp3",
                    "Encrypted": bool(self.ebs_snapshot.encrypted),
                },
            }
        ]

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """The filters that moto has, and those that it has not."""
        values = {
            "block-device-mapping.snapshot-id": self.ebs_snapshot.id,
            "block-device-mapping.volume-type": "gp3",
            "creation-date": self.creation_date.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "description": self.description,
            "ena-support": "true",
            "hypervisor": self.hypervisor,
            "image-type": self.image_type,
            "root-device-name": self.root_device_name,
            "root-device-type": self.root_device_type,
        }
        return (
            values[filter_name]
            if filter_name in values
            else super().get_filter_value(filter_name, method_name)
        )


def _root_size(source: Any) -> int:
    if isinstance(source, LocalAmi):
        return source.root_size
    block = source.block_device_mapping.get(source.root_device_name)
    return int(block.size) if block else BASE_ROOT_SIZE


def create_image(response: EC2Response) -> ActionResult:
    """CreateImage with NoReboot, which moto drops."""
    response.error_on_dryrun()
    image = response.ec2_backend.create_image(
        response._get_param("InstanceId"),
        response._get_param("Name"),
        response._get_param("Description", ""),
        response._get_param("TagSpecifications", []),
        no_reboot=bool(response._get_param("NoReboot", False)),
    )
    return ActionResult({"ImageId": image.id})
