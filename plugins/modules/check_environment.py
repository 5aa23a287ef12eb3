#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: check_environment
short_description: Checks the tools and the AWS account for a stack
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Looks for all that would make a stage of a stack fail later, when something has been spent already.
    All that is wrong is told in one message, each point with what to do about it.
  - Of the control machine it checks the programs and their versions, Python packages, and whether Terraform
    gets its providers.
  - Of the account it checks credentials, region, instance types and their zones, the base image, the root
    volume's size, where a bake can run, quotas and the KMS key; and by dry runs whether the calls
    C(RunInstances), C(CreateImage), C(CreateKeyPair), C(CreateSecurityGroup) and C(CreateVolume) are allowed.
    Rights for IAM and Systems Manager cannot be asked about beforehand.
  - Only what the O(stages) need is looked at, and of that only what the options name.
  - Nothing is made or changed in the account.
options:
  stack:
    description: Name of the stack.
    type: str
    required: true
  stages:
    description: What is about to be run, by the names of the playbooks.
    type: list
    elements: str
    choices: [bake, network, instance, cluster, users, destroy]
    required: true
  packer_template:
    description:
      - Folder of the Packer template. Its C(required_version) tells which versions of Packer will do.
    type: path
  packer_overlay:
    description: Folder that is laid over O(packer_template).
    type: path
  terraform:
    description: A root module of the stack.
    type: dict
    suboptions:
      source:
        description:
          - The module. Its C(required_version) tells which versions of Terraform or OpenTofu will do.
        type: path
        required: true
      work_dir:
        description:
          - Folder where M(iac.ds_stack.terraform_stack) will run it.
          - Unless it was applied there before, it is initialized now, so that a provider that cannot be had
            is known before a bake. Where it was, it is seen whether O(terraform.providers) that are not there
            can be had. Not in check mode.
        type: path
        required: true
      overrides:
        description: As for M(iac.ds_stack.terraform_stack).
        type: dict
        default: {}
      providers:
        description: As for M(iac.ds_stack.terraform_stack).
        type: dict
        default: {}
  base_image:
    description: The image to bake from.
    type: dict
    suboptions:
      owner:
        description: Account that owns it.
        type: str
        required: true
      name:
        description: Its name, may hold wildcards.
        type: str
        required: true
      pinned_id:
        description: Its id where it is pinned, else empty.
        type: str
      pinned_in:
        description: The file that pins it.
        type: path
  bake_instance_type:
    description: Instance type of the bake.
    type: str
  bake_subnet_id:
    description: Subnet of the bake; by default one of the default VPC.
    type: str
  bake_private:
    description: Whether the bake is reached through Session Manager.
    type: bool
    default: false
  instance_type:
    description: Instance type of the machine.
    type: str
  availability_zone:
    description: Zone for a new data volume; by default the first of the region.
    type: str
  subnet_id:
    description: Subnet of the machine, where it is not to be in a network of its own.
    type: str
  root_volume_size:
    description: Size of the root volume in GiB.
    type: int
  data_volume_size:
    description: Size of the data volume in GiB. It cannot be less than what the stack's volume has.
    type: int
  policy_arns:
    description: Policies of the machine's role, which have to be there.
    type: list
    elements: str
    default: []
  permissions_boundary:
    description: Permissions boundary of the machine's role, which has to be there.
    type: str
  bake_instance_profile:
    description: Instance profile of the bake, which has to be there.
    type: str
  kms_key_id:
    description: KMS key of the volumes.
    type: str
  operator_key:
    description: KMS key of the users' passwords. That of the default may be missing.
    type: str
  cluster:
    description: The Spark cluster.
    type: dict
    suboptions:
      instance_type:
        description: Instance type of its nodes.
        type: str
        required: true
      nodes:
        description: How many there are at least.
        type: int
        required: true
      subnet_id:
        description: Its subnet, where that is there already.
        type: str
      image_id:
        description: The image of its nodes, where that is there already.
        type: str
  dry_runs:
    description:
      - Whether rights are looked at by dry runs. These use placeholders, so that a policy which depends on
        what a call is about can refuse one and allow the call itself.
    type: bool
    default: true
  tags:
    description: Tags that everything gets. Dry runs carry them, for accounts that demand some.
    type: dict
    default: {}
  problems:
    description: What has been found already, to be told with the rest, each as a sentence.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
notes:
  - The names of the stack's variables in the messages are those of the role P(iac.ds_stack.preflight#role).
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.aws
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Check what a machine of another type needs
  iac.ds_stack.check_environment:
    stack: demo
    region: eu-central-1
    stages: [instance]
    instance_type: m7i.2xlarge
    root_volume_size: 20
"""

RETURN = r"""
not_checked:
  description: What AWS was asked in vain, such as quotas that these credentials may not read.
  returned: success
  type: list
  elements: str
  sample: ["GetServiceQuota: AccessDeniedException"]
found:
  description: What was found on the way, so that nobody has to ask for it again.
  returned: success
  type: dict
  contains:
    base_image:
      description: The newest image with the name in O(base_image), without keys when there is none.
      type: dict
    account_id:
      description: Id of the account.
      type: str
    host:
      description: Name of the machine on which this ran.
      type: str
    lacks_operator_key:
      description: Whether the account has no key O(operator_key). It is not said where that is not known.
      type: bool
    no_room_beside:
      description: Why the quota has no room for a machine beside the stack's own; empty where it may have.
      type: str
    partition:
      description: The part of AWS that the account belongs to.
      type: str
  sample:
    account_id: "123456789012"
    base_image: {image_id: ami-0a1b2c3d4e5f60718, name: debian-12-amd64-20261116-2300}
    host: desk
    lacks_operator_key: false
    no_room_beside: ""
    partition: aws
"""

import platform
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import (
    boto3_inventory_conn,
    get_aws_connection_info,
)
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.fingerprint import FingerprintError
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import preflight as rules
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import preflight_account as aws
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import preflight_cluster as cluster_rules
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import preflight_tools as tools
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.image_lock import how_to_move
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import (
    OptionError,
    check_stack,
    check_tags,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.preflight import (
    BAKE,
    CLUSTER,
    DESTROY,
    INSTANCE,
    NETWORK,
    STAGES,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.errors import TerraformError

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "stages": {"type": "list", "elements": "str", "choices": list(STAGES), "required": True},
    "packer_template": {"type": "path"},
    "packer_overlay": {"type": "path"},
    "terraform": {
        "type": "dict",
        "options": {
            "source": {"type": "path", "required": True},
            "work_dir": {"type": "path", "required": True},
            "overrides": {"type": "dict", "default": {}},
            "providers": {"type": "dict", "default": {}},
        },
    },
    "base_image": {
        "type": "dict",
        "options": {
            "owner": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "pinned_id": {"type": "str"},
            "pinned_in": {"type": "path"},
        },
    },
    "bake_instance_type": {"type": "str"},
    "bake_subnet_id": {"type": "str"},
    "bake_private": {"type": "bool", "default": False},
    "instance_type": {"type": "str"},
    "availability_zone": {"type": "str"},
    "subnet_id": {"type": "str"},
    "root_volume_size": {"type": "int"},
    "data_volume_size": {"type": "int"},
    "policy_arns": {"type": "list", "elements": "str", "default": []},
    "permissions_boundary": {"type": "str"},
    "bake_instance_profile": {"type": "str"},
    "kms_key_id": {"type": "str"},
    "operator_key": {"type": "str", "no_log": False},
    "cluster": {
        "type": "dict",
        "options": {
            "instance_type": {"type": "str", "required": True},
            "nodes": {"type": "int", "required": True},
            "subnet_id": {"type": "str"},
            "image_id": {"type": "str"},
        },
    },
    "dry_runs": {"type": "bool", "default": True},
    "tags": {"type": "dict", "default": {}},
    "problems": {"type": "list", "elements": "str", "default": []},
}


LIBRARIES = {"passlib": INSTANCE, "cryptography": CLUSTER}
"""Python packages of single stages."""


class UnfitError(Exception):
    """Something has to be mended first."""

    def __init__(self, problems: list[str]) -> None:
        lines = "".join("\n  - " + problem.replace("\n", "\n    ") for problem in problems)
        super().__init__(f"Nothing was done. This has to be mended first:{lines}")


def read_wanted(module: AnsibleAWSModule) -> rules.Wanted:
    """The options as the rules want them."""
    params = module.params
    base = params["base_image"]
    return rules.Wanted(
        stack=check_stack(params["stack"]),
        region=module.region,
        stages=frozenset(params["stages"]),
        base_image=rules.BaseImage(**base) if base else None,
        cluster=rules.Cluster(**params["cluster"]) if params["cluster"] else None,
        dry_runs=params["dry_runs"],
        policy_arns=tuple(params["policy_arns"]),
        tags=check_tags(params["tags"]),
        **{
            name: params[name] or None
            for name in (
                "availability_zone",
                "bake_instance_profile",
                "bake_instance_type",
                "bake_subnet_id",
                "data_volume_size",
                "instance_type",
                "kms_key_id",
                "operator_key",
                "permissions_boundary",
                "root_volume_size",
                "subnet_id",
            )
        },
    )


def needed_programs(module: AnsibleAWSModule, stages: frozenset[str]) -> Iterator[rules.Program]:
    """The programs that the stages run."""
    template, overlay, terraform = (
        module.params[name] for name in ("packer_template", "packer_overlay", "terraform")
    )
    if BAKE in stages and template:
        yield tools.packer(Path(template), Path(overlay) if overlay else None)
        if module.params["bake_private"]:
            yield tools.session_manager_plugin()
    if stages & {NETWORK, INSTANCE, CLUSTER, DESTROY} and terraform:
        yield tools.terraform(Path(terraform["source"]))


def client_maker(module: AnsibleAWSModule) -> aws.MakeClient:
    """What makes AWS clients, each once. `module.client` would end the module at the first problem."""
    _region, endpoint, connection = get_aws_connection_info(module)

    @cache
    def make(service: str, region: str) -> Any:
        return boto3_inventory_conn(
            conn_type="client",
            resource=service,
            region=region,
            endpoint=endpoint,
            config=aws.client_config(),
            **connection,
        )

    return make


def account_problems(
    module: AnsibleAWSModule, wanted: rules.Wanted
) -> tuple[list[str], tuple[rules.Identity, rules.Account] | None]:
    """What is wrong with credentials, region or account; what was found when that could be asked."""
    make_client = client_maker(module)
    homes = aws.home_regions(wanted.region)
    with ThreadPoolExecutor() as pool:
        identified = pool.submit(aws.identify, make_client, homes)
        regions = aws.enabled_regions(make_client, homes)
    identity = identified.result()
    if isinstance(identity, rules.Refusal):
        return [rules.credential_problem(identity)], None
    if regions and (problem := rules.region_problem(wanted.region, regions)):
        return [problem], None
    account = replace(aws.ask(make_client, wanted), account_id=identity.account_id)
    problems = [
        *module.params["problems"],
        *rules.account_problems(wanted, account),
        *cluster_rules.cluster_problems(wanted, account),
    ]
    return problems, (identity, account)


def provider_problems(module: AnsibleAWSModule, wanted: rules.Wanted) -> Iterator[str]:
    """Whether Terraform gets its providers."""
    terraform = module.params["terraform"]
    if NETWORK not in wanted.stages or not terraform or module.check_mode:
        return
    try:
        tools.fetch_providers(
            Path(terraform["source"]),
            Path(terraform["work_dir"]),
            terraform["overrides"],
            terraform["providers"],
        )
    except TerraformError as error:
        if terraform["providers"]:
            yield f"Terraform cannot be set up. {error.message} ({how_to_move('tools')})"
            return
        yield (
            "Terraform cannot be set up. Where its registry cannot be reached, a mirror of providers is "
            "an answer: see provider_installation in the documentation of its CLI configuration. "
            f"{error.message}"
        )


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    """Look at everything and return the module's result. Raises UnfitError for what is wrong."""
    if not module.region:
        raise UnfitError(["Say in which region: with the option region or AWS_REGION."])
    if problem := rules.identity_problem(module.params):
        raise UnfitError([problem])
    wanted = read_wanted(module)
    libraries = ["boto3", "botocore", *(name for name, stage in LIBRARIES.items() if stage in wanted.stages)]
    missing = tools.missing_libraries(libraries)
    found: list[str] = []
    answers = None
    with ThreadPoolExecutor() as pool:
        programs = pool.submit(lambda: list(needed_programs(module, wanted.stages)))
        if not {"boto3", "botocore"} & set(missing):
            found, answers = account_problems(module, wanted)
    tool_problems = list(rules.program_problems(programs.result()))
    problems = [*rules.library_problems(missing, sys.executable), *tool_problems, *found]
    if not tool_problems:
        problems += provider_problems(module, wanted)
    if problems or answers is None:
        raise UnfitError(problems)
    identity, account = answers
    for warning in [*rules.warnings(wanted, account), *cluster_rules.cluster_warnings(wanted, account)]:
        module.warn(warning)
    return {
        "changed": False,
        "not_checked": rules.not_checked(account),
        "found": found_in(identity, wanted, account),
    }


def found_in(identity: rules.Identity, wanted: rules.Wanted, account: rules.Account) -> dict[str, Any]:
    """What others want to know."""
    newest = account.newest_base
    return {
        "account_id": identity.account_id,
        "base_image": {"image_id": newest.image_id, "name": newest.name} if newest else {},
        "host": platform.node(),
        "lacks_operator_key": account.key_states.get(wanted.operator_key or "") == "",
        "no_room_beside": rules.no_room_beside(wanted, account),
        "partition": identity.partition,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(argument_spec=ARGUMENTS, supports_check_mode=True, check_boto3=False)
    try:
        result = run(module)
    except (UnfitError, OptionError, FingerprintError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
