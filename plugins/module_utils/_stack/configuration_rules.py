# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the values of a configuration may mean: rules over variables that have the right types.

Each rule yields sentences that begin with the variable and say what to write instead. A variable that is not
there was not set, or has been told to be wrong. Nothing here looks at this machine or at AWS.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any

from .configuration_cluster import cluster_problems
from .configuration_internet import internet_problems
from .configuration_packages import package_problems
from .configuration_types import either
from .locales import LOCALES
from .names import login_problem, reserved_problem, shown, stack_problem
from .spark import DEFAULTS
from .ssh_keys import key_problem
from .users import user_problems

Values = Mapping[str, Any]
Rule = Callable[[Values], Iterator[str]]

POLICY = (
    r"arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/[A-Za-z0-9+=,.@_/-]{1,512}",
    "arn:aws:iam::123456789012:policy/NAME",
)
SUBNET = (r"subnet-[0-9a-f]{8,17}", "subnet-0123456789abcdef0")
IMAGE = (r"ami-[0-9a-f]{8,17}", "ami-0123456789abcdef0")
INSTANCE_PROFILE = (r"[A-Za-z0-9+=,.@_-]{1,128}", "AmazonSSMRoleForInstancesQuickSetup")
IMAGE_NAME = (r"[A-Za-z0-9()\[\] ./'@_*?-]{3,128}", "debian-12-amd64-*")
IMAGE_OWNER = (r"[0-9]{12}|amazon|aws-marketplace|self", "'136693071363'")
ROOT_DEVICE = (r"/dev/(sd|xvd)[a-z]{1,2}[0-9]*", "/dev/xvda")
LOGIN = (r"[a-z_][a-z0-9_-]{0,31}", "ubuntu")
FORMS = {
    "ds_stack_apt_snapshot": (
        r"(https?|file)://[^\s{}]+(\{archive\}[^\s{}]*)?\{day\}[^\s{}]*",
        "https://snapshot.ubuntu.com/{archive}/{day}",
    ),
    "ds_stack_base_image.name": IMAGE_NAME,
    "ds_stack_base_image.owner": IMAGE_OWNER,
    "ds_stack_base_image.root_device_name": ROOT_DEVICE,
    "ds_stack_base_image.ssh_username": LOGIN,
    "ds_stack_bake_instance_profile": INSTANCE_PROFILE,
    "ds_stack_bake_subnet_id": SUBNET,
    "ds_stack_cluster.base_image.name": IMAGE_NAME,
    "ds_stack_cluster.base_image.owner": IMAGE_OWNER,
    "ds_stack_cluster.base_image.root_device_name": ROOT_DEVICE,
    "ds_stack_cluster.base_image.ssh_username": LOGIN,
    "ds_stack_cluster.image_id": IMAGE,
    "ds_stack_cluster.subnet_id": SUBNET,
    "ds_stack_image_id": IMAGE,
    "ds_stack_kms_key_id": (
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+",
        "arn:aws:kms:REGION:123456789012:key/ID",
    ),
    "ds_stack_operator_key": (
        r"none|alias/[A-Za-z0-9/_-]{1,250}"
        r"|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(alias/[A-Za-z0-9/_-]{1,250}|key/[A-Za-z0-9-]+)",
        "none, alias/NAME or arn:aws:kms:REGION:123456789012:key/ID",
    ),
    "ds_stack_permissions_boundary": POLICY,
    "ds_stack_policy_arns": POLICY,
    # Playbooks look for a path that is not whole in folders of their own.
    "ds_stack_receipts": (
        r"/[^\x00-\x1f\x7f]+|[A-Za-z0-9][A-Za-z0-9._-]*",
        "ami-0a1b2c3d4e5f60718, an image's name or /folder/receipt.json",
    ),
    "ds_stack_restore_home": (r"[a-z_][a-z0-9_-]{0,31}", "ada"),
    "ds_stack_snapshot": (r"snap-[0-9a-f]{8,17}", "snap-0123456789abcdef0"),
    "ds_stack_subnet_id": SUBNET,
}
"""What ids, ARNs and the like look like. Terraform and AWS say it too, but only after the bake. The KMS key
of the volumes is named by no alias: AWS answers with the key's own ARN, and Terraform would replace the
volume for it."""

WIDEST = 8
"""Prefix length of the widest network that can be somebody's own: that of 10.0.0.0/8."""

NOBODYS = {
    "0.0.0.0/8": "hosts without an address",
    "127.0.0.0/8": "a machine's own use",
    "169.254.0.0/16": "link-local addresses",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved addresses",
}
"""Networks that nobody calls from, and in which no machine can be (RFC 6890)."""

RULES_OF_GROUP = 60
"""Inbound rules of a security group, each a network and a port; the quota's default:
https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups"""

POLICIES_OF_ROLE = 10
"""Managed policies of a role; the quota's default:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

TAGS = 40
"""A resource of AWS has at most 50 tags; the rest is for those that the stack gives itself:
https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html"""

TAG_KEY = re.compile(r"[A-Za-z0-9+=._:@-]{1,128}")
"""What all of EC2, IAM and Systems Manager take, on a machine whose tags its metadata service shows (there a
key is a part of a path): https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html and the patterns
of Tag in the API references of IAM and Systems Manager, which do without the comma."""

OWN_TAGS = re.compile(r"aws:.*|ds-stack:.*|name", re.IGNORECASE)
UNSHOWN_TAGS = (".", "..", "_index")

SIZES = {"ds_stack_root_volume_size": (8, 65536), "ds_stack_data_volume_size": (1, 65536)}
"""GiB. The most is a gp3 volume's: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html"""

TIMES = {
    "ds_stack_bake_timeout": (1, 86400),
    "ds_stack_ready_timeout": (1, 86400),
    "ds_stack_replace_timeout": (1, 604800),
}
"""Seconds."""

AGES = {"ds_stack_image_max_age": (0, 36500), "ds_stack_backups.keep_days": (0, 3650)}
"""Days."""

COUNTS = {"ds_stack_keep_images": (2, 1000)}
"""Images."""

INSTANCE_TYPE = re.compile(r"(?P<family>[a-z]+[0-9]*(?P<traits>[a-z]*)(-[a-z0-9]+)*)\.(?P<size>[a-z0-9-]+)")
#: Without ``metal``, as DescribeInstanceTypes has them with hypervisor "xen", and those of
#: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-nitro-instances.html that are gone.
XEN_FAMILIES = frozenset(
    "c1 c3 c4 cc1 cc2 cg1 cr1 d2 f1 g2 g3 g3s h1 hi1 hs1 i2 i3 m1 m2 m3 m4 p2 p3 r3 r4 t1 t2 x1 x1e".split()  # noqa: SIM905
)

SMALL_SIZES = ("nano", "micro")
"""Half a GiB of memory and one: https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html"""

PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
"""Beginning of a region's name → its partition, without whose name no ARN is one there; else it is aws:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""

STATE_KEYS = ("bucket", "key", "region", "use_lockfile")
"""Settings of the backend that the playbooks rely on."""

NOT_OF_EMR = re.compile(r"t[0-9].*|.*\.(small|medium)")
"""None of https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-supported-instance-types.html"""

MACHINE_TYPE, NODE_TYPE = "ds_stack_instance_type", "ds_stack_cluster.instance_type"

REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}")
ZONE = re.compile(r"(?P<region>[a-z]{2,}(-[a-z]+)+-[0-9]{1,2})[a-p]")
"""A local zone has more in its name (us-west-2-lax-1a); a stack's network has no subnet there."""


def meaning_problems(values: Values) -> list[str]:
    """Return one sentence for each thing that is wrong, in an order fit for reading."""
    return [problem for rule in RULES for problem in rule(values)]


def _value(values: Values, variable: str) -> Any:
    """The value of a variable, or of a key in it (``variable.key.key``); None without one."""
    name, _dot, rest = variable.partition(".")
    return _value(values.get(name) or {}, rest) if rest else values.get(name)


def _stack_name(values: Values) -> Iterator[str]:
    if "ds_stack_name" in values and (problem := stack_problem(values["ds_stack_name"])):
        yield f"ds_stack_name: {problem}"


def _region(values: Values) -> Iterator[str]:
    region = values.get("ds_stack_region")
    if region is None or REGION.fullmatch(region):
        return
    lower = region.strip().lower()
    zone = ZONE.fullmatch(lower)
    if zone:
        hint = f"{zone['region']} is the region of that zone."
    else:
        hint = f"Did you mean {lower}?" if REGION.fullmatch(lower) else "Write it like eu-central-1."
    yield f"ds_stack_region: '{shown(region)}' is no region of AWS. {hint}"


def _zone(values: Values) -> Iterator[str]:
    zone, region = values.get("ds_stack_availability_zone"), values.get("ds_stack_region")
    if zone is None:
        return
    found = ZONE.fullmatch(zone)
    if not found:
        yield (
            f"ds_stack_availability_zone: '{shown(zone)}' is no zone that a stack can be in. Write the "
            f"region and a letter, such as {region if REGION.fullmatch(region or '') else 'eu-central-1'}a."
        )
    elif region and found["region"] != region and REGION.fullmatch(region):
        yield (
            f"ds_stack_availability_zone: {zone} is in {found['region']}, and ds_stack_region is {region}. "
            "Take a zone of that region."
        )


def _components(values: Values) -> Iterator[str]:
    if values.get("ds_stack_components") == []:
        yield "ds_stack_components names none. Take jupyterhub, rstudio or both."


def _users(values: Values) -> Iterator[str]:
    """Each name and key by itself; then of the right ones, what Parameter Store can hold."""
    right = []
    for user in values.get("ds_stack_users", []):
        name, keys = user["name"], user.get("ssh_keys", [])
        key_problems = [key_problem(key) for key in keys]
        for number, problem in enumerate(key_problems, 1):
            if problem:
                yield f"ds_stack_users: SSH key {number} of '{shown(name)}': {problem}"
        if problem := _user_name_problem(name):
            yield f"ds_stack_users: {problem}"
        elif not any(key_problems):
            right.append({"name": name, "ssh_keys": keys})
    yield from (f"ds_stack_users: {problem}" for problem in user_problems(right))


def _user_name_problem(name: str) -> str | None:
    lower, problem = name.lower(), reserved_problem(name) or login_problem(name)
    if problem and lower != name and not (reserved_problem(lower) or login_problem(lower)):
        return f"{problem} Did you mean {lower}?"
    return problem


def _networks(values: Values) -> Iterator[str]:
    for variable in ("ds_stack_allowed_cidrs", "ds_stack_bake_source_cidrs", "ds_stack_vpc_cidr"):
        value = values.get(variable, [])
        for text in [value] if isinstance(value, str) else value:
            length = 16 if variable == "ds_stack_vpc_cidr" else 32
            if problem := _network_problem(text, length):
                yield f"{variable}: {problem}"


def _network_problem(text: str, length: int = 32) -> str | None:
    return _cidr_problem(text, length) or _nobodys_problem(text)


def _cidr_problem(text: str, length: int) -> str | None:
    """Why a text is no network as Terraform and AWS write them: address, slash, number.

    ``length`` is the one to propose where there is none.
    """
    if _is_ipv6(text):
        return (
            f"'{shown(text)}' is an IPv6 network, and a stack has IPv4 addresses only. Name an IPv4 network."
        )
    try:
        network = IPv4Network(text, strict=False)
    except ValueError:
        what = "is no IPv4 network" if "/" in text else "has no prefix length and is no IPv4 address"
        return f"'{shown(text)}' {what}. Write ADDRESS/LENGTH, for example 198.51.100.0/24."
    if "/" not in text:
        what = "For one address, write" if length == 32 else "Write"
        return f"'{text}' has no prefix length. {what} {IPv4Network(f'{text}/{length}', strict=False)}."
    if str(network) == text:
        return None
    address = text.partition("/")[0]
    what = "an address inside a network" if address != str(network.network_address) else "not AWS's notation"
    return f"'{text}' is {what}. Did you mean {network}?"


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Network(text, strict=False)
    except ValueError:
        return False
    return True


def _nobodys_problem(text: str) -> str | None:
    network = IPv4Network(text)
    for other, what in NOBODYS.items():
        if network.subnet_of(IPv4Network(other)):
            return f"{text} is for {what}: nobody has such an address. Name a network of your own."
    return None


def _open_world(values: Values) -> Iterator[str]:
    """Networks that together are wider than anybody's own: 0.0.0.0/1 and 128.0.0.0/1 are 0.0.0.0/0."""
    if values.get("ds_stack_allow_world"):
        return
    for variable, what in (
        ("ds_stack_allowed_cidrs", "the machine"),
        ("ds_stack_bake_source_cidrs", "the bake's SSH port"),
    ):
        networks = [IPv4Network(text) for text in values.get(variable, []) if not _network_problem(text)]
        wide = [network for network in collapse_addresses(networks) if network.prefixlen < WIDEST]
        if wide:
            to = "the whole internet" if wide[0].prefixlen == 0 else " and ".join(map(str, wide))
            yield (
                f"{variable} opens {what} to {to}. Name your own networks, or set ds_stack_allow_world to "
                "true if that is what you want."
            )


def _rules_of_groups(values: Values) -> Iterator[str]:
    components = values.get("ds_stack_components") or ("jupyterhub", "rstudio")
    for variable, ports in (("ds_stack_allowed_cidrs", len(components)), ("ds_stack_bake_source_cidrs", 1)):
        networks = values.get(variable, [])
        if len(networks) * ports > RULES_OF_GROUP:
            yield (
                f"{variable}: {len(networks)} networks for {ports} port{'s' if ports > 1 else ''} are "
                f"{len(networks) * ports} rules, and a security group holds {RULES_OF_GROUP}. Name fewer and "
                "wider networks."
            )


def _private_bake(values: Values) -> Iterator[str]:
    private, profile = values.get("ds_stack_bake_private"), values.get("ds_stack_bake_instance_profile")
    if profile and re.fullmatch(INSTANCE_PROFILE[0], profile) and not private:
        yield (
            "ds_stack_bake_instance_profile is for a bake without a public address. Set "
            "ds_stack_bake_private to true, or leave it out."
        )
    if not private:
        return
    if not profile:
        yield (
            "ds_stack_bake_private: Session Manager reaches a machine whose role lets it. Name an instance "
            "profile with the policy AmazonSSMManagedInstanceCore in ds_stack_bake_instance_profile."
        )
    if not values.get("ds_stack_bake_subnet_id"):
        yield (
            "ds_stack_bake_private: the bake needs a way out without a public address. Name a subnet that "
            "has one, by a NAT gateway or by endpoints and a proxy, in ds_stack_bake_subnet_id."
        )
    if values.get("ds_stack_bake_source_cidrs"):
        yield (
            "ds_stack_bake_source_cidrs opens the bake's SSH port, and with ds_stack_bake_private there is "
            "none. Leave one of them out."
        )
    base = values.get("ds_stack_base_image") or {}
    if str(values.get("ds_stack_os", "")).startswith("debian") and not base.get("name"):
        yield (
            "ds_stack_bake_private: Debian's images have no agent of Session Manager. Take ubuntu-24.04 for "
            "ds_stack_os, or name an image of yours that has it in ds_stack_base_image."
        )


def _vpc_size(values: Values) -> Iterator[str]:
    cidr = values.get("ds_stack_vpc_cidr")
    if cidr and not _network_problem(cidr) and not 16 <= IPv4Network(cidr).prefixlen <= 24:
        yield f"ds_stack_vpc_cidr: {cidr} has the wrong size. Take a network between /16 and /24."


def _tls(values: Values) -> Iterator[str]:
    if values.get("ds_stack_tls") == "none" and values.get("ds_stack_allowed_cidrs"):
        yield (
            "ds_stack_tls: without TLS, passwords would go in plain text through the ports that "
            "ds_stack_allowed_cidrs opens. Take self_signed, or open no port."
        )


def _numbers(values: Values) -> Iterator[str]:
    for limits, unit in ((SIZES, "GiB"), (TIMES, "seconds"), (AGES, "days"), (COUNTS, "images")):
        for variable, (smallest, largest) in limits.items():
            number = _value(values, variable)
            if number is None:
                continue
            if number < smallest:
                yield f"{variable}: {number} {unit} is too small. Take {smallest} or more."
            elif number > largest:
                yield f"{variable}: {number} {unit} is too much. Take {largest} or less."


def _instance_types(values: Values) -> Iterator[str]:
    for variable, example in (
        (MACHINE_TYPE, "t3.large"),
        ("ds_stack_bake_instance_type", "t3.large"),
        (NODE_TYPE, DEFAULTS["instance_type"]),
    ):
        name = _value(values, variable)
        if name is not None and (problem := _type_problem(variable, name, example)):
            yield f"{variable}: {problem}"


def _type_problem(variable: str, name: str, example: str) -> str | None:
    found = INSTANCE_TYPE.fullmatch(name)
    if not found:
        lower = name.strip().lower()
        meant = INSTANCE_TYPE.fullmatch(lower)
        hint = f"Did you mean {lower}?" if meant else f"Write a family and a size, such as {example}."
        return f"'{shown(name)}' is no instance type. {hint}"
    if variable == NODE_TYPE and NOT_OF_EMR.fullmatch(name):
        return f"EMR has no nodes of {name}. Take a type such as {example}."
    if variable == MACHINE_TYPE and found["family"] in XEN_FAMILIES and not found["size"].startswith("metal"):
        return (
            f"{name} is not of the Nitro system, where the machine finds its data volume by its id. Take a "
            "newer type, such as t3.large or m5.large."
        )
    return _processor_problem(found, example)


def _processor_problem(found: re.Match[str], example: str) -> str | None:
    """Return what is wrong with a type for any machine of ours."""
    name = found[0]
    if found["family"].startswith("mac"):
        return f"{name} is a Mac. Take a type with an x86 processor, such as {example}."
    if found["family"] == "a1" or "g" in found["traits"]:
        return (
            f"{name} has an Arm processor, and images and RStudio Server are for x86_64. Take a type with "
            f"another processor, such as {example}."
        )
    if found["size"] in SMALL_SIZES:
        return f"{name} has too little memory, a GiB or less. Take a larger type, such as {example}."
    return None


def _forms(values: Values) -> Iterator[str]:
    for variable, (pattern, example) in FORMS.items():
        value = _value(values, variable)
        for text in [value] if isinstance(value, str) else value or []:
            if variable == "ds_stack_apt_snapshot" and "@" in text:
                # Not shown: it would be in the log.
                yield (
                    f"{variable}: it holds a name or a password, which would be in the stack's record and in "
                    f"the image. Name an archive that takes none, such as {example}."
                )
            elif not re.fullmatch(pattern, text):
                yield f"{variable}: '{shown(text)}' is not of the form {example}."


def _policies(values: Values) -> Iterator[str]:
    policies = values.get("ds_stack_policy_arns", [])
    if len(policies) > POLICIES_OF_ROLE:
        yield (
            f"ds_stack_policy_arns: {len(policies)} policies are more than the {POLICIES_OF_ROLE} that a "
            "role can have. Put some of them together."
        )


def _arns(values: Values) -> Iterator[str]:
    """ARNs of another region, or of another of AWS's partitions."""
    region = values.get("ds_stack_region")
    if not region or not REGION.fullmatch(region):
        return
    partition = next((one for start, one in PARTITIONS.items() if region.startswith(start)), "aws")
    for variable, (pattern, _example) in FORMS.items():
        value = _value(values, variable)
        for arn in [value] if isinstance(value, str) else value or []:
            if not arn.startswith("arn:") or not re.fullmatch(pattern, arn):
                continue
            _arn, of, _service, other = arn.split(":")[:4]
            if other not in ("", region):
                yield (
                    f"{variable}: the key is in {other}, and ds_stack_region is {region}. Take a key of "
                    "that region."
                )
            elif of != partition:
                yield (
                    f"{variable}: '{shown(arn)}' is of the partition {of}, and {region} is of {partition}. "
                    f"Take one that begins with arn:{partition}:."
                )


def _operator_key(values: Values) -> Iterator[str]:
    key = values.get("ds_stack_operator_key") or ""
    if re.search(r"(^|:)alias/aws/", key) and re.fullmatch(FORMS["ds_stack_operator_key"][0], key):
        yield (
            f"ds_stack_operator_key: {shown(key)} is a key that AWS has for a service of its own. Write none "
            "for the account's own key of Parameter Store, or take a key of yours."
        )


def _state_settings(values: Values) -> Iterator[str]:
    for key in STATE_KEYS:
        if key in values.get("ds_stack_state_settings", {}):
            yield (
                f"ds_stack_state_settings.{key} is the stack's to decide, which looks there for its state. "
                "Leave it out."
            )


def _tags(values: Values) -> Iterator[str]:
    tags: Mapping[str, Any] = values.get("ds_stack_tags", {})
    if len(tags) > TAGS:
        yield (
            f"ds_stack_tags: {len(tags)} tags are too many. AWS takes 50, of which the stack needs some "
            f"itself: take {TAGS} or fewer."
        )
    for key, value in tags.items():
        if problem := _tag_key_problem(key) or _tag_value_problem(key, value):
            yield f"ds_stack_tags: {problem}"
    lower = [key.lower() for key in tags]
    for key in sorted({key for key in lower if lower.count(key) > 1}):
        same = " and ".join(sorted(one for one in tags if one.lower() == key))
        yield f"ds_stack_tags: {same} are the same to IAM. Keep one of them."


def _tag_key_problem(key: str) -> str | None:
    if OWN_TAGS.fullmatch(key):
        return (
            f"the key '{shown(key)}' is taken, as are Name and all that begin with aws: or ds-stack:. Choose "
            "another."
        )
    if not TAG_KEY.fullmatch(key) or key in UNSHOWN_TAGS:
        return (
            f"AWS takes no key '{shown(key)}' here. Write 1 to 128 letters, digits and + = . _ : @ - without "
            "spaces."
        )
    return None


def _tag_value_problem(key: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"the value of '{key}' is no text. Put it in quotes, as in {key}: \"4711\"."
    if len(value) > 256:
        return f"the value of '{key}' has {len(value)} characters. Take at most 256."
    wrong = [
        letter
        for letter in value
        if unicodedata.category(letter)[0] not in "LNZ" and letter not in "_.:/=+-@"
    ]
    if wrong:
        return (
            f"AWS takes no '{shown(wrong[0])}' in the value of '{key}'. Write letters, digits, spaces and "
            "_ . : / = + - @"
        )
    return None


def _locale(values: Values) -> Iterator[str]:
    if "ds_stack_locale" in values and (problem := locale_problem(values["ds_stack_locale"])):
        yield f"ds_stack_locale: {problem}"


def locale_problem(name: str) -> str | None:
    """Return why the machine cannot have a locale, as the rest of a sentence, or None."""
    language, _dot, charset = name.partition(".")
    if charset not in ("UTF-8", "utf8"):
        hint = f"Write {language}.UTF-8." if language in LOCALES else "Write it like de_DE.UTF-8."
        return f"'{shown(name)}' is no UTF-8 locale, which R and Python need. {hint}"
    if language in LOCALES:
        return None
    same = [one for one in sorted(LOCALES) if one.lower() == language.lower()]
    near = same or [one for one in sorted(LOCALES) if one.split("_")[0] == language.split("_")[0].lower()]
    hint = f"Take {either([f'{one}.UTF-8' for one in near or ['C']])}."
    return f"Debian and Ubuntu have no locale '{shown(name)}'. {hint}"


RULES: Collection[Rule] = (
    _stack_name,
    _region,
    _zone,
    _components,
    _users,
    _networks,
    _open_world,
    _rules_of_groups,
    _private_bake,
    _vpc_size,
    _tls,
    _numbers,
    _instance_types,
    _forms,
    _policies,
    _arns,
    _operator_key,
    _state_settings,
    _tags,
    _locale,
    internet_problems,
    package_problems,
    cluster_problems,
)
