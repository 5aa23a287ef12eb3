#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_inventory_info
short_description: Tell what an account and Terraform's states have of a stack
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Looks for everything with the tag C(ds-stack:name=<stack>), or the stack's name, in one region of the
    account, reads the states of its parts, and compares the two.
  - Reads the states themselves, without Terraform. They are not locked, and nothing is changed anywhere.
  - Fails if the bucket in which the states are belongs to another account, before it reads from it.
options:
  stack:
    description: Name of the stack, 2 to 31 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    required: true
  owner:
    description: Id of the account to which O(bucket) has to belong. Wanted with it.
    type: str
  bucket:
    description: Bucket in which the states are. One that does not exist has none.
    type: str
  keys:
    description: Of each part of the stack, the key of its state in O(bucket).
    type: dict
    default: {}
  work_dirs:
    description:
      - Of each part of the stack, the folder in which Terraform runs, see M(iac.ds_stack.terraform_stack). A
        state that lies there is the one that counts.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    details: This module changes nothing in any mode.
  diff_mode:
    support: N/A
    details: This module changes nothing.
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.aws
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Look at what there is of a stack
  iac.ds_stack.stack_inventory_info:
    stack: demo
    region: eu-central-1
    work_dirs:
      network: .ds_stack/demo/terraform/network
      data: .ds_stack/demo/terraform/data
      instance: .ds_stack/demo/terraform/instance
  register: demo

- name: Show what nobody looks after
  ansible.builtin.debug:
    msg: "{{ demo.audit | selectattr('orphan') }}"
"""

RETURN = r"""
bucket:
  description:
    - Whether O(bucket) exists, and whether it is finished, that is, versioned and not public. Of a bucket at
      whose settings these credentials may not look the latter is taken for granted.
  returned: success
  type: dict
  sample: {exists: true, finished: true}
there:
  description: The ids of what Terraform makes, by kind.
  returned: success
  type: dict
  sample:
    Spark cluster: []
    machine: [i-0123456789abcdef0]
    data volume: [vol-0123456789abcdef0]
    address: []
    endpoint: []
    network: [vpc-0123456789abcdef0]
    security group: [sg-0123456789abcdef0]
    role: [ds-stack-demo-eu-central-1]
    instance profile: [ds-stack-demo-eu-central-1]
    backup policy: [policy-0123456789abcdef0]
    bucket: []
machines:
  description: The stack's machines, with the names that M(amazon.aws.ec2_instance_info) has for them.
  returned: success
  type: list
  elements: dict
  sample:
    - image_id: ami-0f1e2d3c4b5a69788
      instance_id: i-0123456789abcdef0
      instance_type: t3.large
      state: {name: running}
      slot: a
      active: true
      has_volume: true
volumes:
  description: Its data volumes, with the names that M(amazon.aws.ec2_vol_info) has for them.
  returned: success
  type: list
  elements: dict
  sample:
    - {id: vol-0123456789abcdef0, size: 50, zone: eu-central-1a}
states:
  description: What each part's state has, without sensitive outputs. One that is C(here) lies in a folder.
  returned: success
  type: dict
  sample:
    data:
      where: s3://ds-stack-state-123456789012-eu-central-1/demo/data.tfstate
      exists: true
      here: false
      outputs: {volume_id: vol-0123456789abcdef0}
      resources: {vol-0123456789abcdef0: module.data_volume.aws_ebs_volume.this}
unknown:
  description: Ids of what Terraform has made and no state has.
  returned: success
  type: list
  elements: str
  sample: []
elsewhere:
  description: Ids that a state has of what is not in this region of the account, or lacks the stack's tags.
  returned: success
  type: list
  elements: str
  sample: []
volume_to_import:
  description: The data volume if there is one and no state has any; else null.
  returned: success
  type: str
  sample: vol-0123456789abcdef0
backups_to_import:
  description: The role and the policy of the backups of which the account has one and no state does.
  returned: success
  type: dict
  sample: {role: ds-stack-demo-eu-central-1-backups, policy_id: policy-0123456789abcdef0}
problems:
  description: Of each part, why it must not be made as things are. Parts that may be are left out.
  returned: success
  type: dict
  sample: {}
audit:
  description: Everything that there is, in the order in which it is to be removed.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: What it is.
      type: str
    id:
      description: Its id or name.
      type: str
    why:
      description: Why it is there.
      type: str
    what:
      description: What to do to have it no longer.
      type: str
    orphan:
      description: Whether nothing of this collection will look after it by itself.
      type: bool
operator_key:
  description:
    - Id of the KMS key that all stacks of the account and region have for passwords. Empty if there is none.
  returned: success
  type: str
  sample: 1234abcd-12ab-34cd-56ef-1234567890ab
lost_operator_keys:
  description:
    - Ids of KMS keys that were made for passwords and have no alias, as a run leaves one that is ended in
      between. Nothing uses them.
  returned: success
  type: list
  elements: str
  sample: []
not_asked:
  description: Kinds of things for which these credentials may not ask, with AWS's reason.
  returned: success
  type: dict
  sample: {}
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import inventory as kinds
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import inventory_account as aws
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.audit import audit
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import OptionError, check_stack
from ansible_collections.iac.ds_stack.plugins.module_utils._terraform.workdir import state_file

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "owner": {"type": "str"},
    "bucket": {"type": "str"},
    "keys": {"type": "dict", "default": {}, "no_log": False},
    "work_dirs": {"type": "dict", "default": {}},
}


def describe(found: kinds.Inventory) -> dict[str, Any]:
    """What the playbooks want to know."""
    problems = {
        kinds.NETWORK: kinds.unknown_problem(found, kinds.NETWORK),
        kinds.DATA: kinds.volume_problem(found),
        kinds.INSTANCE: kinds.unknown_problem(found, kinds.INSTANCE),
        kinds.CLUSTER: kinds.unknown_problem(found, kinds.CLUSTER),
    }
    with_volume = {where for volume in found.of_kind(kinds.VOLUME) for where in volume.attached_to}
    return {
        "there": {
            kind: [thing.id for thing in found.of_kind(kind) if thing.part in kinds.PARTS]
            for kind in kinds.MADE_BY_TERRAFORM
        },
        "machines": [
            {
                "instance_id": one.id,
                "image_id": one.image_id,
                "instance_type": one.instance_type,
                "state": {"name": one.status},
                "slot": one.slot,
                "active": one.active,
                "has_volume": one.id in with_volume,
            }
            for one in found.machines
            if one.status != kinds.LEAVING
        ],
        "volumes": [
            {"id": one.id, "size": one.size, "zone": one.zone} for one in found.of_kind(kinds.VOLUME)
        ],
        "states": {
            state.part: {
                "where": state.where,
                "exists": state.exists,
                "here": state.here,
                "outputs": dict(state.outputs),
                "resources": dict(state.things),
            }
            for state in found.states
        },
        "unknown": [thing.id for thing in found.unknown()],
        "elsewhere": found.elsewhere(),
        "volume_to_import": kinds.volume_to_import(found),
        "backups_to_import": kinds.backups_to_import(found),
        "problems": {part: problem for part, problem in problems.items() if problem},
        "audit": [asdict(finding) for finding in audit(found)],
        "operator_key": next((thing.id for thing in found.of_kind(kinds.KEY)), ""),
        "lost_operator_keys": [thing.id for thing in found.of_kind(kinds.LOST_KEY)],
        "not_asked": dict(found.not_asked),
    }


def look(module: AnsibleAWSModule) -> dict[str, Any]:
    """Look at everything and return the module's result."""
    params = module.params
    stack = check_stack(params["stack"])  # a star would name all stacks
    if not module.region:
        raise OptionError("region: say in which region, here or with AWS_REGION.")

    bucket, exists, finished = None, False, False
    if params["bucket"]:
        bucket = aws.Bucket(params["bucket"], params["owner"], module.client("s3"))
        exists, finished = bucket.look()
    files = {part: state_file(Path(path).absolute()) for part, path in params["work_dirs"].items()}
    places = aws.Places(bucket if exists else None, params["keys"], files)
    found = aws.inventory(module.client, stack, module.region, places)
    return {"bucket": {"exists": exists, "finished": finished}, **describe(found)}


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec=ARGUMENTS, supports_check_mode=True, required_by={"bucket": ["owner"]}
    )
    try:
        result = look(module)
    except (OptionError, aws.BucketError, kinds.StateError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    except AnsibleAWSError as error:
        module.fail_json_aws_error(error)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
