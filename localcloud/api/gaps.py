"""Put our classes into moto, and fill the gaps that Terraform, Packer and amazon.aws need filled."""

from datetime import datetime, timezone
from typing import Any

from moto import settings
from moto.core.responses import ActionResult
from moto.ec2 import models as ec2_models
from moto.ec2.models import amis, elastic_ip_addresses, elastic_network_interfaces, instances
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses import EC2Response
from moto.ssm import models as ssm_models

from localcloud.api import dlm, emr, images
from localcloud.api.backend import LocalEC2, backends
from localcloud.api.clusters import Spark
from localcloud.api.images import LocalAmi
from localcloud.api.instances import LocalInstance
from localcloud.cloud import Cloud

DEBIAN_PARAMETERS = (
    "/aws/service/debian/release/12/latest/amd64",
    "/aws/service/debian/daily/bookworm/latest/amd64",
)


def install(cloud: Cloud) -> None:
    """Make moto use our backends. Call it once, before the first API call."""
    LocalEC2.cloud = cloud
    ec2_models.ec2_backends.backend = LocalEC2
    ssm_models.ssm_backends.backend = LocalSSM
    instances.Instance = LocalInstance
    amis.Ami = LocalAmi
    settings.EC2_ENABLE_INSTANCE_TYPE_VALIDATION = True
    elastic_network_interfaces.random_public_ip = _public_address
    elastic_ip_addresses.random_ip = _public_address
    Subnet.get_available_subnet_ip = _available_subnet_ip
    EC2Response.create_image = images.create_image
    dlm.install()
    emr.install(Spark(cloud))
    for name, call in CALLS.items():
        setattr(EC2Response, name, call)


def _public_address() -> str:
    return backends()[0].take_public_address()


_moto_subnet_ip = Subnet.get_available_subnet_ip


def _available_subnet_ip(subnet: Subnet, instance: Any) -> str:
    """A private address that no other machine has, also in another VPC with the same CIDR."""
    while True:
        address = _moto_subnet_ip(subnet, instance)
        if not subnet.ec2_backend.private_address_in_use(address):
            return address


class LocalSSM(ssm_models.SimpleSystemManagerBackend):
    """Systems Manager with the public parameters of Debian's AMI."""

    __module__ = "moto.ssm.models"

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        ec2 = ec2_models.ec2_backends[account_id][region_name]
        base = next(ami for ami in ec2.amis.values() if ami.is_public)
        for name in DEBIAN_PARAMETERS:
            parameter = ssm_models.Parameter(
                account_id=account_id,
                name=name,
                value=base.id,
                parameter_type="String",
                description="",
                allowed_pattern=None,
                keyid=None,
                last_modified_date=datetime.now(timezone.utc),
                version=1,
                data_type="aws:ec2:image",
            )
            self._parameters[name] = [parameter]


# --- calls that moto does not know; each is a method of its EC2Response ---------------------------


def _image(response: EC2Response) -> LocalAmi:
    response.error_on_dryrun()
    return response.ec2_backend.describe_images(ami_ids=[response._get_param("ImageId")])[0]


def enable_image_deprecation(response: EC2Response) -> ActionResult:
    """EnableImageDeprecation."""
    _image(response).deprecation_time = response._get_param("DeprecateAt")
    return ActionResult({"Return": True})


def disable_image_deprecation(response: EC2Response) -> ActionResult:
    """DisableImageDeprecation."""
    _image(response).deprecation_time = None
    return ActionResult({"Return": True})


def enable_image_deregistration_protection(response: EC2Response) -> ActionResult:
    """EnableImageDeregistrationProtection."""
    _image(response).deregistration_protection = "enabled"
    return ActionResult({"Return": "enabled"})


def disable_image_deregistration_protection(response: EC2Response) -> ActionResult:
    """DisableImageDeregistrationProtection."""
    _image(response).deregistration_protection = "disabled"
    return ActionResult({"Return": "disabled"})


def get_image_block_public_access_state(_response: EC2Response) -> ActionResult:
    """GetImageBlockPublicAccessState."""
    return ActionResult({"ImageBlockPublicAccessState": "block-new-sharing"})


def get_snapshot_block_public_access_state(_response: EC2Response) -> ActionResult:
    """GetSnapshotBlockPublicAccessState."""
    return ActionResult({"State": "block-all-sharing"})


_moto_modify_image_attribute = EC2Response.modify_image_attribute


def modify_image_attribute(response: EC2Response) -> ActionResult:
    """ModifyImageAttribute, also for the description and imdsSupport."""
    description, support = response._get_param("Description"), response._get_param("ImdsSupport")
    if description:
        _image(response).description = description["Value"] if isinstance(description, dict) else description
    if support:
        _image(response).imds_support = support["Value"] if isinstance(support, dict) else support
    return _moto_modify_image_attribute(response)


def detach_volume(response: EC2Response) -> ActionResult:
    """DetachVolume without an instance id, which AWS allows."""
    response.error_on_dryrun()
    attachment = response.ec2_backend.detach_volume(
        response._get_param("VolumeId"), response._get_param("InstanceId"), response._get_param("Device")
    )
    return ActionResult(
        {
            "VolumeId": attachment.volume.id,
            "InstanceId": attachment.instance.id,
            "Device": attachment.device,
            "State": "detaching",
            "AttachTime": attachment.attach_time,
        }
    )


CALLS = {
    call.__name__: call
    for call in (
        enable_image_deprecation,
        disable_image_deprecation,
        enable_image_deregistration_protection,
        disable_image_deregistration_protection,
        get_image_block_public_access_state,
        get_snapshot_block_public_access_state,
        modify_image_attribute,
        detach_volume,
    )
}
