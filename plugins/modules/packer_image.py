#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: packer_image
short_description: Bake an Amazon Machine Image with Packer, once for the same content
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Has Packer bake an Amazon Machine Image (AMI), and next time finds it again instead of baking it again.
  - Everything that shapes the image goes into a fingerprint, which the image carries as the tag
    C(ds-stack:fingerprint). As long as an available image of the account has the fingerprint of what is asked
    for, nothing is baked.
  - The template is copied to O(work_dir), where Packer runs. You can run C(packer) there by hand, with
    C(-var-file=variables.pkrvars.json).
  - While Packer runs, its steps are shown on the console, and those tasks of its ansible provisioner that
    fail or take long, and some that change something.
  - If the play is interrupted, Packer is asked to stop and cleans up in the account; the next run tells how
    that ended. An image of a bake that failed loses its fingerprint, so that it is not found again.
options:
  template:
    description:
      - Folder of the Packer template (C(*.pkr.hcl), C(*.pkr.json), and the files that these use), or a
        template that is a single such file. It is never written to.
      - Templates in the JSON of before Packer 1.5 are refused. C(packer hcl2_upgrade) converts them.
      - The template must declare the variables C(image_name), C(tags), C(run_tags) and C(manifest_path), use
        them as its image's name, its tags, the tags of everything temporary, and the C(output) of a
        post-processor C(manifest).
      - Where it declares them, it also gets C(region), C(base_image_id), C(provisioner_variables_file),
        C(ansible_playbook) and C(collections_path).
    type: path
    required: true
  overlay:
    description:
      - Folder that is laid over O(template) in O(work_dir). A file in it replaces the template's with the
        same name.
    type: path
  work_dir:
    description:
      - Folder where Packer runs. It is made if it is not there, and kept. It has to lie outside of
        O(template), O(overlay) and O(fingerprint_paths).
      - A file in it that neither the template nor an earlier bake has put there would shape the image and not
        its fingerprint. As long as it is there, nothing is baked.
      - The logs of the last ten bakes are in its folder C(log). Only one run at a time can use it.
    type: path
    required: true
  name:
    description:
      - Beginning of the image's name, of at most 112 characters. A hyphen and the time (UTC) are added.
      - EC2 takes letters, digits, spaces, parentheses, square brackets, dots, slashes, hyphens, apostrophes,
        at signs and underscores.
    type: str
    required: true
  base_image_id:
    description:
      - The image to bake from. Pin it, for a newer one makes another fingerprint.
      - It only has to exist when there is something to bake.
    type: str
    required: true
  variables:
    description:
      - Variables for the template, of any type. They are handed over in a file that only its owner may read.
      - They are part of the fingerprint, apart from those in O(fingerprint_exclude).
    type: dict
    default: {}
  sensitive_variables:
    description:
      - Variables for the template that nobody shall see. Their file is removed at the end, and their values
        are masked in all output and in the log. Values shorter than 6 characters are not masked there.
      - They are not part of the fingerprint, which everybody may read who sees the image.
    type: dict
    default: {}
  provisioner_variables:
    description:
      - Variables for the roles that Packer's ansible provisioner runs. They are written to a JSON file that
        only its owner may read; the template gets its path as C(provisioner_variables_file).
      - They are part of the fingerprint, apart from those in O(fingerprint_exclude).
    type: dict
    default: {}
  fingerprint_paths:
    description:
      - Files and folders besides the template whose content shapes the image, relative to
        O(fingerprint_root).
      - Of each file the relative name, the executable bit and the content count. What interpreters and
        editors leave behind (such as C(__pycache__) and C(*~)) does not count.
    type: list
    elements: str
    default: []
  fingerprint_root:
    description:
      - Folder that O(fingerprint_paths) are relative to. Its own place does not count, so that a checkout and
        an installed collection come to the same fingerprint.
      - By default the folder that holds O(template).
    type: path
  fingerprint_exclude:
    description:
      - Names of O(variables) and O(provisioner_variables) that do not shape the image, such as where it is
        baked, or for which something else in the fingerprint stands.
    type: list
    elements: str
    default: []
  fingerprint_extra:
    description:
      - Whatever else shapes the image, such as versions of collections that the roles use.
    type: dict
    default: {}
  tags:
    description:
      - Tags for the image and its snapshots. C(Name), C(ds-stack:part=image), C(ds-stack:fingerprint),
        C(ds-stack:base-image) and C(ds-stack:bake) with an id of the run are added.
      - Where they hold C(ds-stack:name), only an image with the same C(ds-stack:name) is found again.
      - Everything temporary has these tags too, but C(ds-stack:part=bake), and the same C(ds-stack:bake).
    type: dict
    default: {}
  force:
    description:
      - Bake even if there is an image with the same fingerprint.
    type: bool
    default: false
  self_test:
    description:
      - File in O(work_dir) in which the build says how the self-test of the machine went, as the role
        P(iac.ds_stack.smoke_test#role) writes it, a JSON object with the keys C(image) (the image's name),
        C(passed) and C(checks).
      - Of the images with the fingerprint only one is taken that has passed, which the tag
        C(ds-stack:verified) tells, and a bake fails that comes to its end without. By default nothing is
        asked for.
      - An image of which a machine has failed (tag C(ds-stack:failed)) is never taken.
    type: str
  allow_unverified:
    description:
      - Take an image, or make one, that has not passed O(self_test).
    type: bool
    default: false
  plugins:
    description:
      - Packer's plugins to keep to, source to C(version) and C(sha256), as RV(plugins) of an earlier bake has
        them. They shape no image.
      - The bake fails before anything is made when such a version cannot be had, or when its file for this
        platform is another one than was locked. Plugins that are not named here are the newest ones that the
        template takes. Only templates in HCL are held.
      - A Packer before 1.7 has its plugins in it, and nothing is held.
    type: dict
    default: {}
  timeout:
    description:
      - Seconds after which Packer is asked to stop and to clean up.
    type: int
    default: 3600
  binary:
    description:
      - Packer, as a name on the E(PATH) or as a path.
    type: str
    default: packer
  ansible_playbook:
    description:
      - The C(ansible-playbook) for Packer's ansible provisioner.
      - By default that of the Ansible that runs this module.
    type: str
  collections_path:
    description:
      - Folders in which that C(ansible-playbook) finds collections.
      - By default those of the Ansible that runs this module.
    type: list
    elements: path
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.action
  - iac.ds_stack.attributes.async
  - iac.ds_stack.attributes.stack
  - iac.ds_stack.attributes.aws
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  action:
    support: full
  action_group:
    description: >-
      Use C(group/iac.ds_stack.stack), or C(group/iac.ds_stack.aws) that also sets those of amazon.aws, in
      C(module_defaults) to set defaults for this module.
    membership: [iac.ds_stack.aws, iac.ds_stack.stack]
  async:
    support: full
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the files and values that differ from those of the last bake in O(work_dir), with sensitive
      ones masked. Of files only digests are shown.
notes:
  - The AWS options reach Packer in its environment, as E(AWS_ACCESS_KEY_ID), E(AWS_PROFILE),
    E(AWS_ENDPOINT_URL) and so on. The environment variables E(PACKER_LOG), C(PKR_VAR_*), E(AWS_MAX_ATTEMPTS)
    and C(ANSIBLE_*) are not passed on to it, nor does the Ansible in the bake read a configuration of the
    caller's; give what it needs in the template.
  - Progress is shown as it comes where the connection is C(local), elsewhere at the end. With C(async) look
    into the log. With C(no_log) nothing that Packer says is shown, neither progress nor why it failed.
  - The ansible provisioner gets an environment in which its output can be read, such as
    E(ANSIBLE_STDOUT_CALLBACK). A template that sets it otherwise loses tasks from progress and errors.
  - C(packer init) is run with Packer 1.7 and newer.
requirements:
  - python >= 3.10
  - Packer 1.6.6 or newer
seealso:
  - module: amazon.aws.ec2_ami_info
  - module: iac.ds_stack.ami_retention
  - name: Packer
    description: Reference of templates and commands.
    link: https://developer.hashicorp.com/packer/docs
"""

EXAMPLES = r"""
- name: Bake an image, or find the one with the same content
  iac.ds_stack.packer_image:
    template: "{{ playbook_dir }}/packer"
    work_dir: "{{ playbook_dir }}/.work/packer"
    name: analysis
    region: eu-central-1
    base_image_id: ami-0a1b2c3d4e5f60718
    variables:
      instance_type: t3.medium
      source_cidrs: [198.51.100.7/32]
    fingerprint_exclude: [instance_type, source_cidrs]
    provisioner_variables:
      r_version: 4.5.1
    fingerprint_paths:
      - roles/r
      - image.yml
    tags:
      project: analysis
  register: image

- name: Say whether it was there
  ansible.builtin.debug:
    msg: "{{ image.ami_id }} was {{ 'found' if image.reused else 'baked' }}"

- name: Bake with a licence key that nobody gets to see
  iac.ds_stack.packer_image:
    template: "{{ playbook_dir }}/packer"
    work_dir: "{{ playbook_dir }}/.work/packer"
    name: analysis
    base_image_id: ami-0a1b2c3d4e5f60718
    sensitive_variables:
      licence_key: "{{ lookup('ansible.builtin.env', 'LICENCE_KEY') }}"
    timeout: 5400
"""

RETURN = r"""
ami_id:
  description: The image.
  returned: success, but not when an image would be baked in check mode
  type: str
  sample: ami-0a1b2c3d4e5f60718
image_name:
  description: Name of the image.
  returned: success, but not when an image would be baked in check mode
  type: str
  sample: analysis-20261123-204512
snapshot_ids:
  description: The snapshots behind the image.
  returned: success, but not when an image would be baked in check mode
  type: list
  elements: str
  sample: [snap-0f1e2d3c4b5a69788]
verified:
  description:
    - What the image's self-test has shown, as V(all) or V(all but ...); empty when it has not passed one.
  returned: success, but not when an image would be baked in check mode
  type: str
  sample: all
fingerprint:
  description: SHA-256 over everything that shapes the image, in hexadecimal.
  returned: when it could be taken
  type: str
  sample: 9b1d7f6c0c1f6a53c4e1c7a7a2b8d6e5f4039281706f5e4d3c2b1a0918273645
reused:
  description: Whether the image was there.
  returned: success
  type: bool
  sample: false
reasons:
  description:
    - Why an image is baked. These are the parts of the content that differ from the last bake in O(work_dir),
      as C(template), C(base_image_id), C(files.<path>), C(variables.<name>), C(provisioner_variables.<name>)
      and C(fingerprint_extra.<name>); or one sentence, such as what speaks against the image that is there.
  returned: success
  type: list
  elements: str
  sample: [files.roles/r, provisioner_variables.r_version]
region:
  description: Region of the image.
  returned: success
  type: str
  sample: eu-central-1
log_path:
  description: The log with all that Packer said.
  returned: when Packer ran
  type: str
  sample: /home/ada/analysis/.work/packer/log/analysis-20261123-204512.log
duration:
  description: Seconds that the bake took.
  returned: when Packer built something
  type: float
  sample: 312.4
plugins:
  description:
    - Packer's plugins that it was made with, with the SHA-256 of their file for each platform that is known.
      Empty for a Packer that has them in it.
  returned: when Packer built something
  type: dict
  sample:
    github.com/hashicorp/amazon:
      version: 1.8.3
      sha256: {linux_amd64: 9b1d7f6c0c1f6a53c4e1c7a7a2b8d6e5f4039281706f5e4d3c2b1a0918273645}
error:
  description: Why Packer failed, in the words of what failed. That is the Ansible task and its message where
    one failed.
  returned: when Packer failed
  type: str
  sample: "amazon-ebs.ds_stack: Task 'r : Install R' failed: No package matching 'r-base' is available"
left:
  description:
    - What a bake that failed has left in the account, by the tag C(ds-stack:bake), in other regions too where
      the image was copied. None if it could not be looked up.
  returned: when a build failed
  type: list
  elements: str
  sample: [image ami-0a1b2c3d4e5f60718]
"""

import os
from typing import Any

from ansible.module_utils.common.warnings import warn
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleAWSError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.account import Account
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.attempt import look_back
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.build import (
    Tool,
    begin,
    build,
    find_binary,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.cli import environment
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.content import content_of
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.errors import BakeError
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.find import find, tell_late_images
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.fingerprint import FingerprintError
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.judge import facts_of, judge
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.report import Result, report
from ansible_collections.iac.ds_stack.plugins.module_utils._packer.request import resolve
from ansible_collections.iac.ds_stack.plugins.module_utils._run.outcome import ProcessError
from ansible_collections.iac.ds_stack.plugins.module_utils._run.process import exit_on_signals
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import Progress
from ansible_collections.iac.ds_stack.plugins.module_utils._run.secrets import (
    SENSITIVE,
    Scrubber,
    secrets_in,
)

ARGUMENT_SPEC = {
    "template": {"type": "path", "required": True},
    "overlay": {"type": "path"},
    "work_dir": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "base_image_id": {"type": "str", "required": True},
    "variables": {"type": "dict", "default": {}},
    "sensitive_variables": {"type": "dict", "default": {}, "no_log": True},
    "provisioner_variables": {"type": "dict", "default": {}},
    "fingerprint_paths": {"type": "list", "elements": "str", "default": []},
    "fingerprint_root": {"type": "path"},
    "fingerprint_exclude": {"type": "list", "elements": "str", "default": []},
    "fingerprint_extra": {"type": "dict", "default": {}},
    "tags": {"type": "dict", "default": {}},
    "force": {"type": "bool", "default": False},
    "self_test": {"type": "str"},
    "allow_unverified": {"type": "bool", "default": False},
    "plugins": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 3600},
    "binary": {"type": "str", "default": "packer"},
    "ansible_playbook": {"type": "str"},
    "collections_path": {"type": "list", "elements": "path"},
}
CONNECTION_OPTIONS = ("access_key", "secret_key", "session_token", "profile", "endpoint_url", "aws_ca_bundle")


def hide_secrets(module: AnsibleAWSModule) -> Scrubber:
    """Make Ansible mask the sensitive variables in the result; what masks them elsewhere.

    Ansible would mask short ones ("1", "dev") too, all over the result.
    """
    names = ("sensitive_variables", "secret_key", "session_token")
    scrubber = Scrubber(secrets_in(module.params[name] for name in names))
    module.no_log_values.clear()
    module.no_log_values.update(scrubber.forms)
    return scrubber


def run(module: AnsibleAWSModule, scrubber: Scrubber, progress: Progress) -> dict[str, Any]:
    """Do what was asked for; the result."""
    # The result repeats the options; a secret too short to be masked wherever it occurs is masked here.
    params = {**module.params}
    module.params["sensitive_variables"] = dict.fromkeys(params["sensitive_variables"], SENSITIVE)
    request = resolve(params, module.region)
    account = Account(module.client("ec2"), request.region, lambda name: module.client("ec2", region=name))
    earlier = look_back(request.work_dir, account, check_mode=module.check_mode)
    if earlier:
        warn(earlier)
    found = find(request, content_of(request), account.client)
    result = Result(found, request.region, found.image)
    if not found.reasons:
        return report(result)
    for text in tell_late_images(request, account.client, earlier or ""):
        warn(text)
    if not module.check_mode:
        tool = Tool(find_binary(module.params["binary"]), environment(os.environ, connection_of(module)))
        with begin(request, scrubber) as bake:
            built = build(bake, request, found, tool, progress)
            image = judge(bake, built, request, found, account)
            bake.work.note_bake(found.bake_of(image))
        result = Result(found, request.region, image, facts_of(bake, built, found))
    diff = {name: scrubber.text(text) for name, text in found.diff().items()}
    return {**report(result), **({"diff": diff} if module._diff else {})}


def connection_of(module: AnsibleAWSModule) -> dict[str, str | None]:
    """How the module reaches AWS, which is how Packer shall."""
    return {**{name: module.params[name] for name in CONNECTION_OPTIONS}, "region": module.region}


def main() -> None:
    """Entry point."""
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    scrubber = hide_secrets(module)
    progress = Progress.from_environment()
    try:
        with exit_on_signals():
            result = run(module, scrubber, progress)
    except BakeError as error:
        message = progress.failure(str(error), error.facts.get("log_path"))
        module.fail_json(msg=message, **error.facts, **progress.result())
    except (FingerprintError, ProcessError) as error:
        module.fail_json(msg=str(error), **progress.result())
    except AnsibleAWSError as error:
        module.fail_json_aws_error(error)
    module.exit_json(**result, **progress.result())


if __name__ == "__main__":
    main()
