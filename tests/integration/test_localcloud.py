"""The local cloud as its users see it: the API by boto3, machines by SSH, and what is left in the end.

Needs root, podman and loop devices, and starts an account of its own. There is one account per machine: when
one runs already, it is left alone and these tests are skipped with that reason.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from localcloud import daemon
from localcloud.paths import REPOSITORY, RunDir, cache_root

HOST = "100.64.113.1"
TIMEOUT = 90

#: What a bake does to a disk, and what an image must show of it.
BAKE = """
import os, shutil
open("/etc/baked", "w").write("baked\\n")
os.remove("/etc/issue.net")
shutil.rmtree("/etc/skel")
os.mkdir("/etc/skel")
open("/etc/skel/mine", "w").write("")
open("/srv/tool", "w").write("")
os.setxattr("/srv/tool", "security.capability", os.getxattr("/usr/bin/ping", "security.capability"))
os.link("/srv/tool", "/srv/same")
os.chown("/srv", 4711, 4712)
"""
LOOK = """
import json, os
tool, folder = os.stat("/srv/tool"), os.stat("/srv")
print(json.dumps({
    "removed": not os.path.exists("/etc/issue.net"),
    "replaced": os.listdir("/etc/skel"),
    "capability": [os.getxattr(path, "security.capability").hex() for path in ("/usr/bin/ping", "/srv/same")],
    "links": [tool.st_nlink, tool.st_ino == os.stat("/srv/same").st_ino],
    "owner": [folder.st_uid, folder.st_gid],
}))
"""
NET_RAW = "0100000200200000000000000000000000000000"
BAKED = {
    "removed": True,
    "replaced": ["mine"],
    "capability": [NET_RAW, NET_RAW],
    "links": [2, True],
    "owner": [4711, 4712],
}


def localcloud(command: str, *options: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run one command of the program with its own cache."""
    return subprocess.run(
        [sys.executable, "-m", "localcloud", command, *options],
        env={**os.environ, "DS_STACK_CACHE": str(cache)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def until(condition: Callable[[], Any], seconds: float = TIMEOUT) -> Any:
    """Wait until something is true and return it."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.3)
    return found


@dataclass
class Cloud:
    """The account under test."""

    cache: Path
    key_file: Path
    clients: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> RunDir:
        return RunDir(self.cache / "localcloud/run")

    @property
    def settings(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.run.env.read_text().splitlines())

    def client(self, service: str, **credentials: str) -> Any:
        settings = self.settings
        credentials = credentials or {
            "aws_access_key_id": settings["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": settings["AWS_SECRET_ACCESS_KEY"],
        }
        return boto3.client(
            service,
            region_name=settings["AWS_REGION"],
            endpoint_url=settings["AWS_ENDPOINT_URL"],
            **credentials,
        )

    @property
    def ec2(self) -> Any:
        if "ec2" not in self.clients:
            self.clients["ec2"] = self.client("ec2")
        return self.clients["ec2"]

    def describe(self, instance: str) -> dict[str, Any]:
        return self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]

    def wait_for_state(self, instance: str, state: str) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            found = self.describe(instance)
            return found if found["State"]["Name"] == state else None

        return until(reached)

    def ssh(self, instance: str, command: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        options = ["IdentitiesOnly=yes", "BatchMode=yes", "StrictHostKeyChecking=no", "LogLevel=ERROR"]
        options += ["UserKnownHostsFile=/dev/null", "ConnectTimeout=3"]
        target = f"admin@{self.describe(instance)['PublicIpAddress']}"
        return subprocess.run(
            ["ssh", "-i", str(key or self.key_file), *(f"-o{option}" for option in options), target, command],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def say(self, instance: str, command: str) -> str:
        """Run a command on a machine that may still boot; returns its output."""
        # 255: ssh itself failed, the machine does not answer yet
        done = until(lambda: (done := self.ssh(instance, command)).returncode != 255 and done)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def metadata(self, instance: str, path: str) -> str:
        """What the metadata service says to a caller with a token."""
        base = "http://169.254.169.254/latest"
        put = f"curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {base}/api/token"
        return self.say(instance, f'curl -s -H "X-aws-ec2-metadata-token: $({put})" {base}/meta-data/{path}')

    def order_fault(self, **fault: Any) -> None:
        connection = http.client.HTTPConnection(HOST, 5600, timeout=5)
        connection.request("POST", "/_localcloud/fault", json.dumps(fault))
        assert connection.getresponse().status == 204
        connection.close()


def debian(ec2: Any) -> str:
    images = ec2.describe_images(
        Owners=["136693071363"], Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}]
    )["Images"]
    assert len(images) == 1
    return images[0]["ImageId"]


def reachable(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), 1):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An account of the tests' own, with the base image of the usual cache."""
    lock = daemon.Lock()
    if not lock.take():
        pytest.skip(
            f"A local cloud runs already and is left alone: {lock.read()}. Stop it to run these tests."
        )
    lock.close()
    cache = tmp_path_factory.mktemp("cache")
    (cache / "localcloud").mkdir()
    for kind in ("base-image", "base-layers"):
        usual = cache_root() / "localcloud" / kind
        usual.mkdir(mode=0o700, parents=True, exist_ok=True)
        (cache / "localcloud" / kind).symlink_to(usual)
    started = localcloud("start", "--downloads=vendor", cache=cache)
    assert started.returncode == 0, started.stderr
    key_file = cache / "key"
    cloud = Cloud(cache, key_file)
    try:
        material = cloud.ec2.create_key_pair(KeyName="tests", KeyType="ed25519")["KeyMaterial"]
        key_file.touch(0o600)
        key_file.write_text(material)
        yield cloud
    finally:
        log = cloud.run.log.read_text() if cloud.run.log.exists() else ""
        stopped = localcloud("stop", cache=cache)
        print(log)
        assert stopped.returncode == 0, stopped.stderr
        assert "Traceback" not in log


@pytest.fixture(scope="module")
def group(cloud: Cloud) -> str:
    """A security group that lets this machine in by SSH."""
    group = cloud.ec2.create_security_group(GroupName="tests", Description="tests")["GroupId"]
    cloud.ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp=f"{HOST}/32"
    )
    return group


@pytest.fixture(scope="module")
def profile(cloud: Cloud) -> str:
    """An instance profile whose role may read one path of parameters."""
    iam = cloud.client("iam")
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    trust = {"Version": "2012-10-17", "Statement": [assume]}
    iam.create_role(RoleName="tests", AssumeRolePolicyDocument=json.dumps(trust))
    path = "arn:aws:ssm:us-east-1:123456789012:parameter/tests/machine/*"
    allow = {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": path}
    rights = {"Version": "2012-10-17", "Statement": [allow]}
    iam.put_role_policy(RoleName="tests", PolicyName="tests", PolicyDocument=json.dumps(rights))
    iam.attach_role_policy(RoleName="tests", PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess")
    iam.create_instance_profile(InstanceProfileName="tests")
    iam.add_role_to_instance_profile(InstanceProfileName="tests", RoleName="tests")
    return "tests"


def launch(cloud: Cloud, group: str, image: str, **options: Any) -> str:
    return cloud.ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.small",
        KeyName="tests",
        SecurityGroupIds=[group],
        MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
        **options,
    )["Instances"][0]["InstanceId"]


def available(cloud: Cloud, image: str) -> str:
    """Wait for an image."""

    def state() -> str:
        return cloud.ec2.describe_images(ImageIds=[image])["Images"][0]["State"]

    assert until(lambda: (found := state()) != "pending" and found) == "available"
    return image


def layers(cloud: Cloud) -> set[str]:
    """The layers of images that take room on the disk."""
    return {path.name for path in cloud.run.root_disks.glob("ami-*")}


@pytest.fixture(scope="module")
def first(cloud: Cloud, group: str, profile: str) -> str:
    """A machine from Debian's image."""
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "ds-stack:name", "Value": "tests"}]}]
    return launch(
        cloud, group, debian(cloud.ec2), IamInstanceProfile={"Name": profile}, TagSpecifications=tags
    )


@pytest.fixture(scope="module")
def image(cloud: Cloud, first: str) -> str:
    """An image of the first machine, made while it runs, after a bake of sorts."""
    cloud.say(first, f"sudo python3 -c '{BAKE}'")
    return cloud.ec2.create_image(InstanceId=first, Name="tests", NoReboot=True)["ImageId"]


@pytest.fixture(scope="module")
def second(cloud: Cloud, group: str, image: str) -> str:
    """A machine from that image."""
    return launch(cloud, group, available(cloud, image))


@pytest.fixture(scope="module")
def volume(cloud: Cloud) -> str:
    """An empty data volume in the machines' zone."""
    return cloud.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, VolumeType="gp3", Encrypted=True)[
        "VolumeId"
    ]


def test_it_listens_on_its_own_address_only(cloud: Cloud) -> None:
    ours = [
        line.split()[3]
        for line in subprocess.check_output(["ss", "-Hltn"], text=True).splitlines()
        if line.split()[3].rpartition(":")[2] in ("5600", "5601")
    ]
    assert ours == [f"{HOST}:5600"]


def test_starting_it_again_changes_nothing(cloud: Cloud) -> None:
    before = cloud.run.pid.read_text()
    again = localcloud("start", "--downloads=vendor", cache=cloud.cache)
    assert (again.returncode, again.stderr.strip()) == (0, "The local cloud already runs.")
    assert cloud.run.pid.read_text() == before


def test_a_second_account_is_refused(cloud: Cloud, tmp_path: Path) -> None:
    refused = localcloud("start", "--downloads=vendor", cache=tmp_path)
    assert refused.returncode == 1
    assert "There can be only one" in refused.stderr
    assert localcloud("stop", cache=tmp_path).returncode == 1


def test_unknown_credentials_are_refused(cloud: Cloud) -> None:
    for service, call, code in (
        ("ec2", "describe_vpcs", "AuthFailure"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("ssm", "describe_parameters", "UnrecognizedClientException"),
    ):
        client = cloud.client(service, aws_access_key_id="AKIAUNKNOWN", aws_secret_access_key="x")
        with pytest.raises(ClientError) as caught:
            getattr(client, call)()
        assert caught.value.response["Error"]["Code"] == code


def test_the_public_parameter_names_debians_image(cloud: Cloud) -> None:
    parameter = cloud.client("ssm").get_parameter(Name="/aws/service/debian/release/12/latest/amd64")
    assert parameter["Parameter"]["Value"] == debian(cloud.ec2)


def test_a_machine_is_a_debian_with_systemd_and_the_key_pairs_key(
    cloud: Cloud, first: str, tmp_path: Path
) -> None:
    assert cloud.say(first, "cloud-init status --wait").endswith("status: done")
    assert cloud.say(first, ". /etc/os-release; echo $ID $VERSION_ID; sudo id -u").split() == [
        "debian",
        "12",
        "0",
    ]
    until(lambda: cloud.say(first, "systemctl is-system-running || true") == "running")
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    assert "Permission denied" in cloud.ssh(first, "true", key=stranger).stderr
    status = cloud.ec2.describe_instance_status(InstanceIds=[first])["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == "ok"


def test_the_root_disk_is_as_debian_has_it(cloud: Cloud, first: str) -> None:
    mapping = cloud.describe(first)["BlockDeviceMappings"]
    assert [entry["DeviceName"] for entry in mapping] == ["/dev/xvda"]
    disk = cloud.ec2.describe_volumes(VolumeIds=[mapping[0]["Ebs"]["VolumeId"]])["Volumes"][0]
    assert (disk["Size"], disk["VolumeType"]) == (8, "gp3")


def test_security_groups_open_and_close_ports_and_root_inside_cannot(
    cloud: Cloud, first: str, group: str
) -> None:
    address = cloud.describe(first)["PublicIpAddress"]
    cloud.say(first, "sudo systemd-run --unit=web python3 -m http.server 8000")
    until(lambda: cloud.ssh(first, "curl -s -o /dev/null http://127.0.0.1:8000/").returncode == 0)
    assert not reachable(address, 8000)
    rule = {"GroupId": group, "IpProtocol": "tcp", "FromPort": 8000, "ToPort": 8000, "CidrIp": f"{HOST}/32"}
    cloud.ec2.authorize_security_group_ingress(**rule)
    assert reachable(address, 8000)
    cloud.ec2.revoke_security_group_ingress(**rule)
    assert not reachable(address, 8000)
    cloud.say(first, "sudo nft flush ruleset && sudo nft add table inet mine")
    assert not reachable(address, 8000)


def test_metadata_needs_a_token_and_follows_the_tags(cloud: Cloud, first: str) -> None:
    code = cloud.say(first, "curl -s -o /dev/null -w '%{http_code}' http://169.254.169.254/latest/meta-data/")
    assert code == "401"
    cloud.ec2.create_tags(Resources=[first], Tags=[{"Key": "colour", "Value": "green"}])
    found = [cloud.metadata(first, path) for path in ("instance-id", "tags/instance/ds-stack:name")]
    assert found == [first, "tests"]
    assert cloud.metadata(first, "tags/instance/colour") == "green"


def test_an_instance_reads_what_its_role_may_and_no_more(cloud: Cloud, first: str) -> None:
    operator = cloud.client("ssm")
    operator.put_parameter(Name="/tests/machine/config", Value="for it", Type="String")
    operator.put_parameter(Name="/tests/operator/password", Value="not for it", Type="SecureString")
    given = json.loads(cloud.metadata(first, "iam/security-credentials/tests"))
    machine = cloud.client(
        "ssm",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["Token"],
    )
    assert machine.get_parameter(Name="/tests/machine/config")["Parameter"]["Value"] == "for it"
    for call, arguments in (
        ("get_parameter", {"Name": "/tests/operator/password", "WithDecryption": True}),
        ("get_parameters_by_path", {"Path": "/tests", "Recursive": True}),
        ("put_parameter", {"Name": "/tests/machine/config", "Value": "x", "Overwrite": True}),
    ):
        with pytest.raises(ClientError, match="AccessDeniedException"):
            getattr(machine, call)(**arguments)
    secret = operator.get_parameter(Name="/tests/operator/password", WithDecryption=True)
    assert secret["Parameter"]["Value"] == "not for it"


def test_an_image_carries_the_disk_to_a_new_machine(cloud: Cloud, second: str) -> None:
    assert cloud.say(second, "cat /etc/baked") == "baked"
    assert json.loads(cloud.say(second, f"sudo python3 -c '{LOOK}'")) == BAKED


def test_machines_have_identities_of_their_own(cloud: Cloud, first: str, second: str) -> None:
    assert cloud.say(first, "hostname") != cloud.say(second, "hostname")
    boot_ids = [cloud.say(machine, "cat /proc/sys/kernel/random/boot_id") for machine in (first, second)]
    assert len(set(boot_ids)) == 2


def test_a_volume_moves_between_machines_with_its_files(
    cloud: Cloud, first: str, second: str, volume: str
) -> None:
    def state() -> str:
        return cloud.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"]

    def attach(machine: str) -> str:
        cloud.ec2.attach_volume(VolumeId=volume, InstanceId=machine, Device="/dev/sdf")
        attached = cloud.ec2.get_waiter("volume_in_use")
        attached.wait(VolumeIds=[volume])
        link = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"
        until(lambda: cloud.ssh(machine, f"test -b {link}").returncode == 0)
        assert cloud.say(machine, "readlink -f /dev/sdf") == "/dev/nvme1n1"
        return link

    link = attach(first)
    cloud.say(first, f"sudo mkfs.ext4 -q {link} && sudo mount {link} /mnt && echo kept | sudo tee /mnt/file")
    # Of one moment, although it is mounted and nothing was flushed.
    snapshot = cloud.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    cloud.say(first, "echo still writable | sudo tee /mnt/other")
    cloud.ec2.detach_volume(VolumeId=volume, InstanceId=first)
    time.sleep(1.5)
    assert state() == "in-use"  # mounted: busy, as on AWS
    cloud.say(first, "sudo umount /mnt")
    until(lambda: state() == "available")
    assert cloud.ssh(first, "test -e /dev/nvme1n1").returncode == 1
    attach(second)
    assert (
        cloud.say(second, "sudo mount /dev/nvme1n1 /mnt && cat /mnt/file && sudo rm /mnt/file && sync")
        == "kept"
    )
    with pytest.raises(ClientError, match="VolumeInUse"):
        cloud.ec2.delete_volume(VolumeId=volume)
    copy = cloud.ec2.create_volume(AvailabilityZone="us-east-1a", SnapshotId=snapshot)["VolumeId"]
    cloud.ec2.attach_volume(VolumeId=copy, InstanceId=second, Device="/dev/sdg")
    until(lambda: cloud.ssh(second, "test -b /dev/nvme2n1").returncode == 0)
    assert cloud.say(second, "sudo mount /dev/nvme2n1 /srv && cat /srv/file") == "kept"
    cloud.ec2.delete_snapshot(SnapshotId=snapshot)
    for ordered in ("pending", "error"):
        cloud.order_fault(snapshot=ordered)
        odd = cloud.ec2.create_snapshot(VolumeId=copy)["SnapshotId"]
        (found,) = cloud.ec2.describe_snapshots(SnapshotIds=[odd])["Snapshots"]
        assert found["State"] == ordered
        cloud.ec2.delete_snapshot(SnapshotId=odd)


def test_poweroff_inside_stops_and_start_brings_everything_back(
    cloud: Cloud, second: str, volume: str
) -> None:
    before = cloud.describe(second)["PublicIpAddress"]
    cloud.ssh(second, "sudo systemctl poweroff")
    stopped = cloud.wait_for_state(second, "stopped")
    assert "PublicIpAddress" not in stopped
    assert "InstanceInitiatedShutdown" in stopped["StateReason"]["Code"]
    elastic = cloud.ec2.allocate_address(Domain="vpc")
    cloud.ec2.start_instances(InstanceIds=[second])
    assert cloud.wait_for_state(second, "running")["PublicIpAddress"] != before
    cloud.ec2.associate_address(AllocationId=elastic["AllocationId"], InstanceId=second)
    assert cloud.describe(second)["PublicIpAddress"] == elastic["PublicIp"]
    assert cloud.say(second, "cat /etc/baked && test -b /dev/sdf && echo disk").split() == ["baked", "disk"]
    cloud.ec2.stop_instances(InstanceIds=[second])
    stopped = cloud.wait_for_state(second, "stopped")
    assert stopped["PublicIpAddress"] == elastic["PublicIp"]  # an elastic address stays
    # Stopped, a volume comes off at once.
    cloud.ec2.detach_volume(VolumeId=volume, InstanceId=second)
    assert cloud.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available"
    cloud.ec2.delete_volume(VolumeId=volume)
    assert not (cloud.run.volumes / f"{volume}.img").exists()


def test_reboots_keep_the_disk_and_show_a_new_boot(cloud: Cloud, first: str) -> None:
    address = cloud.describe(first)["PublicIpAddress"]

    def boot_id() -> str:
        return cloud.say(first, "cat /proc/sys/kernel/random/boot_id")

    before = boot_id()
    cloud.ssh(first, "sudo systemctl reboot")
    after = until(lambda: (found := boot_id()) != before and found)
    cloud.ec2.reboot_instances(InstanceIds=[first])
    until(lambda: boot_id() not in (before, after))
    assert cloud.say(first, "cat /etc/baked") == "baked"
    assert cloud.describe(first)["PublicIpAddress"] == address


def test_a_refused_launch_leaves_nothing(cloud: Cloud, group: str) -> None:
    before = len(cloud.ec2.describe_network_interfaces()["NetworkInterfaces"])
    small = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 4}}]
    with pytest.raises(ClientError, match="InvalidBlockDeviceMapping"):
        launch(cloud, group, debian(cloud.ec2), BlockDeviceMappings=small)
    with pytest.raises(ClientError, match=r"InvalidAMIID\.NotFound"):
        launch(cloud, group, "ami-00000000000000000")
    cloud.order_fault(action="RunInstances", code="InsufficientInstanceCapacity", status=400)
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        launch(cloud, group, debian(cloud.ec2))
    assert len(cloud.ec2.describe_network_interfaces()["NetworkInterfaces"]) == before


def test_a_boot_that_fails_ends_with_a_reason(cloud: Cloud, group: str) -> None:
    cloud.order_fault(boot="fail", message="the disk is on fire")
    ended = cloud.wait_for_state(launch(cloud, group, debian(cloud.ec2)), "terminated")
    assert "the disk is on fire" in ended["StateReason"]["Message"]


def test_a_boot_without_sshd_can_be_ordered(cloud: Cloud, group: str) -> None:
    cloud.order_fault(boot="no-sshd")
    machine = launch(cloud, group, debian(cloud.ec2))
    cloud.wait_for_state(machine, "running")
    check = ["podman", "exec", f"ds-stack-{machine}", "systemctl", "is-enabled", "ssh.service"]

    def answer() -> str:
        return subprocess.run(check, capture_output=True, text=True, check=False).stdout.strip()

    assert until(answer) in ("masked", "masked-runtime")
    cloud.ec2.terminate_instances(InstanceIds=[machine])


def test_an_image_of_an_image_outlives_both_of_them_in_a_machine(
    cloud: Cloud, second: str, image: str, group: str
) -> None:
    cloud.ec2.start_instances(InstanceIds=[second])
    cloud.wait_for_state(second, "running")
    cloud.say(second, "sudo rm /etc/skel/mine && echo more | sudo tee /etc/more")
    above = cloud.ec2.create_image(InstanceId=second, Name="above")["ImageId"]  # shuts it down meanwhile
    available(cloud, above)
    copy = cloud.ec2.copy_image(SourceImageId=above, SourceRegion="us-east-1", Name="copy")["ImageId"]
    third = launch(cloud, group, copy)
    cloud.ec2.deregister_image(ImageId=above)
    cloud.ec2.deregister_image(ImageId=copy)
    expected = {**BAKED, "replaced": []}
    for machine in (second, third):
        cloud.say(machine, "cat /etc/baked /etc/more")
        assert json.loads(cloud.say(machine, f"sudo python3 -c '{LOOK}'")) == expected
    cloud.ec2.stop_instances(InstanceIds=[third])
    cloud.wait_for_state(third, "stopped")
    cloud.ec2.start_instances(InstanceIds=[third])
    cloud.wait_for_state(third, "running")
    assert cloud.say(third, "cat /etc/baked /etc/more").split() == ["baked", "more"]
    assert layers(cloud) == {image, above}
    cloud.ec2.terminate_instances(InstanceIds=[third])
    cloud.wait_for_state(third, "terminated")
    assert layers(cloud) == {image, above}  # the second machine goes on above it
    assert cloud.say(second, "cat /etc/more") == "more"


def test_termination_leaves_nothing_of_a_machine(cloud: Cloud, second: str, image: str, group: str) -> None:
    with pytest.raises(ClientError, match="DependencyViolation"):
        cloud.ec2.delete_security_group(GroupId=group)
    disks = [entry["Ebs"]["VolumeId"] for entry in cloud.describe(second)["BlockDeviceMappings"]]
    copy = disks[1:]
    cloud.ec2.terminate_instances(InstanceIds=[second])
    cloud.wait_for_state(second, "terminated")
    left = [entry["VolumeId"] for entry in cloud.ec2.describe_volumes()["Volumes"]]
    assert disks[0] not in left
    for extra in copy:
        assert extra in left  # a data volume outlives the machine
        cloud.ec2.delete_volume(VolumeId=extra)
    assert list(cloud.run.volumes.iterdir()) == []
    names = subprocess.check_output(["podman", "ps", "--all", "--format", "{{.Names}}"], text=True).split()
    assert f"ds-stack-{second}" not in names
    until(lambda: layers(cloud) == {image})
    cloud.ec2.deregister_image(ImageId=image)
    assert cloud.ec2.describe_images(Owners=["self"])["Images"] == []
    until(lambda: layers(cloud) == set())
    assert not (cloud.run.root_disks / second).exists()


def remains(run: RunDir) -> dict[str, str]:
    """Everything on this machine that belongs to an account, by kind."""

    def lines(*command: str, having: str) -> str:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return "\n".join(line for line in output.splitlines() if having in line)

    return {
        "containers": lines("podman", "ps", "--all", "--format", "{{.Names}}", having="ds-stack-i-"),
        "networks": lines("podman", "network", "ls", "--format", "{{.Name}}", having="ds-stack-vpc-"),
        "mounts": lines("cat", "/proc/mounts", having=str(run.path)),
        "tables": lines("nft", "list", "tables", having="localcloud"),
        "routes": lines("ip", "route", having="100.64.113."),
        "addresses": lines("ip", "address", "show", "dev", "lo", having="100.64.113."),
        "loops": lines("losetup", "--list", "--noheadings", having=str(run.path)),
        "folder": str(run.path) if run.path.exists() else "",
    }


def test_a_killed_server_is_reaped_and_stop_leaves_nothing(cloud: Cloud, first: str) -> None:
    volume = cloud.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    cloud.ec2.attach_volume(VolumeId=volume, InstanceId=first, Device="/dev/sdh")
    assert remains(cloud.run)["loops"]
    assert remains(cloud.run)["mounts"]
    # In the middle of CreateImage: the machine is held still, its disk half copied.
    cloud.say(first, "cd /srv && seq 50000 | sudo xargs touch")
    image = cloud.ec2.create_image(InstanceId=first, Name="half", NoReboot=True)["ImageId"]
    until(lambda: layers(cloud) == {image})
    assert cloud.ec2.describe_images(ImageIds=[image])["Images"][0]["State"] == "pending"
    os.kill(int(cloud.run.pid.read_text()), signal.SIGKILL)
    until(lambda: daemon.status() is None, 10)
    started = localcloud("start", "--downloads=vendor", cache=cloud.cache)
    assert started.returncode == 0, started.stderr
    for left in (f"container ds-stack-{first}", f"mount {cloud.run.root_disks / first}/root", "process "):
        assert left in started.stderr
    cloud.clients.clear()
    assert cloud.ec2.describe_instances()["Reservations"] == []
    again = remains(cloud.run)
    assert again["containers"] == again["loops"] == again["mounts"] == ""
    assert [path.name for path in cloud.run.root_disks.iterdir()] == ["base"]
    stopped = localcloud("stop", cache=cloud.cache)
    assert stopped.returncode == 0, stopped.stderr
    assert remains(cloud.run) == dict.fromkeys(remains(cloud.run), "")
    nothing = localcloud("stop", cache=cloud.cache)
    assert (nothing.returncode, nothing.stderr.strip()) == (0, "No local cloud runs.")
