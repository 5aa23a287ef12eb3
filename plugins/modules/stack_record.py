#!/usr/bin/python
# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_record
short_description: Keep what the account remembers of a stack, and let one run at a time change it
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - A stack's record is the parameter C(/ds-stack/<stack>/operator/stack) of SSM Parameter Store. It says
    where Terraform's state is, with which variables the stack was made, and who ran what on it, when, from
    which machine, and how that ended. What does not fit into its 4,096 bytes is in parameters below it.
  - It is no place for secrets. Of the users it has the names alone.
  - The lock is the parameter C(/ds-stack/<stack>/operator/lock). Parameter Store makes it only for one of two
    who ask at once.
  - A run goes through the states V(begun), V(noted) and V(ended). A run that is killed leaves its lock and a
    record that says that it began. The next run of the same user on the same machine sees that the process is
    gone, says so, and takes the lock over. Anybody else, and that machine after it was started again, cannot
    tell a run that is over from a slow one, and has O(take_over).
  - A run that O(kind=reads) or O(kind=changes) a stack of which there is nothing is told, by a warning, the
    names of those that there are.
options:
  stack:
    description: Name of the stack, 2 to 31 lower-case letters, digits and hyphens, beginning with a letter.
    type: str
    required: true
  state:
    description:
      - V(begun) reads the record, refuses what would lose something of the stack, and takes the lock.
      - V(noted) writes that the run changes the stack from now on, and may be repeated.
      - V(ended) writes how it has ended, and gives the lock back. It writes no record where there is none any
        more.
    type: str
    choices: [begun, noted, ended]
    required: true
  playbook:
    description: What runs, for people to read.
    type: str
    required: true
  run:
    description: The id of the run that V(begun) has returned. Required with the other states.
    type: str
  kind:
    description:
      - V(reads) changes nothing, and takes no lock.
      - V(changes) changes the stack.
      - V(applies) makes the stack what its variables say. Only such a run replaces the recorded variables,
        and makes a record where there is none. What the last one was given must be among O(mentioned).
    type: str
    choices: [reads, changes, applies]
    required: true
  known:
    description: Names of all variables that there are. Others in the record are left alone.
    type: list
    elements: str
    default: []
  mentioned:
    description: Names of the variables that the run was given, with whatever value.
    type: list
    elements: str
    default: []
  configuration:
    description:
      - For V(noted), and for V(ended) with O(unchanged), the variables that go into the record.
      - With O(kind=changes) those that the record has beside them stay as they are.
    type: dict
    default: {}
  withheld:
    description: Likewise variables whose values may hold a secret, each with the names of what is in it.
    type: dict
    default: {}
  place:
    description:
      - For V(noted), where Terraform's state is, with a C(type). To that of V(local) this machine's name is
        added as C(host). Without it, the record keeps what it has.
    type: dict
    default: {}
  as_given:
    description: Whether a run that V(applies) takes the defaults of what it does not mention.
    type: bool
    default: false
  take_over:
    description: Whether to take the lock from whoever has it.
    type: bool
    default: false
  process:
    description:
      - The process whose end is the end of the run, as the action plugin of this module names Ansible's own.
        Where it is empty nobody can tell that the run is over.
    type: str
    default: ""
  play:
    description: For V(ended), the play that the run was in.
    type: str
  succeeded:
    description: For V(ended), whether it ended well.
    type: bool
    default: false
  unchanged:
    description:
      - For V(ended), whether a run that V(applies) has failed and changed nothing, so that the stack is what
        O(configuration) and O(withheld) of before say.
    type: bool
    default: false
attributes:
  action:
    support: full
  check_mode:
    support: full
    details: Takes no lock and writes nothing. The record is read, and whatever is refused is refused.
  diff_mode:
    support: none
notes:
  - What a run writes about itself is no change of the stack, so this module never reports C(changed).
extends_documentation_fragment:
  - iac.ds_stack.attributes
  - iac.ds_stack.attributes.action
  - iac.ds_stack.attributes.aws
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
"""

EXAMPLES = r"""
- name: Read the record, and take the lock
  iac.ds_stack.stack_record:
    stack: demo
    state: begun
    playbook: stop
    kind: changes
  register: record

- name: Give the lock back
  iac.ds_stack.stack_record:
    stack: demo
    state: ended
    playbook: stop
    kind: changes
    run: "{{ record.run }}"
    succeeded: true
"""

RETURN = r"""
run:
  description: The id of the run. Empty where it takes no lock.
  returned: with O(state=begun)
  type: str
  sample: 5f0c8a3b9d2e
record:
  description: The record; empty where there is none.
  returned: with O(state=begun)
  type: dict
  sample:
    state: {type: s3, bucket: ds-stack-123456789012-eu-central-1, prefix: demo, region: eu-central-1}
    configuration: {ds_stack_users: [ada, grace]}
    withheld: {ds_stack_image_variables: [jupyterhub_memory_limit]}
    runs:
      - run: 5f0c8a3b9d2e
        playbook: site
        who: arn:aws:iam::123456789012:user/ada
        machine: ada@laptop
        began: "2026-11-27T09:14:02Z"
        ended: "2026-11-27T09:21:44Z"
        outcome: succeeded
lock:
  description:
    - Who else has the lock; empty where nobody has. Such a run goes on only if it changes nothing. C(ended)
      is whether that run is over for certain.
  returned: with O(state=begun)
  type: dict
  sample: {}
variables:
  description: Variables of the record that were not mentioned, for a run that needs no more than the name.
  returned: with O(state=begun)
  type: dict
  sample: {ds_stack_allowed_cidrs: [198.51.100.0/24]}
not_known:
  description: Those whose values the record does not have.
  returned: with O(state=begun)
  type: list
  elements: str
  sample: [ds_stack_terraform_overrides]
problem:
  description: Why the record could not be read or the lock not be taken; empty when they were.
  returned: with O(state=begun)
  type: str
  sample: ""
"""

import getpass
import secrets
import socket
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timezone
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import HAS_BOTO3, get_aws_connection_info
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.iac.ds_stack.plugins.module_utils._run import life
from ansible_collections.iac.ds_stack.plugins.module_utils._stack import preflight_account as aws
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.names import OptionError, check_stack
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.parameters import (
    ParameterError,
    ParameterStore,
    Paths,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.preflight import identity_problem
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.record import (
    FAILED,
    SUCCEEDED,
    Configuration,
    Lock,
    Record,
    RecordError,
    Run,
    refuse_lock,
    refuse_region,
    refuse_unmentioned,
)
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.record_store import (
    RecordStore,
    code_of,
    operation_of,
    regions_with,
)

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:
    pass  # check_environment tells it, with all else that is missing

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["begun", "noted", "ended"], "required": True},
    "playbook": {"type": "str", "required": True},
    "run": {"type": "str"},
    "kind": {"type": "str", "choices": ["reads", "changes", "applies"], "required": True},
    "known": {"type": "list", "elements": "str", "default": []},
    "mentioned": {"type": "list", "elements": "str", "default": []},
    "configuration": {"type": "dict", "default": {}},
    "withheld": {"type": "dict", "default": {}},
    "place": {"type": "dict", "default": {}},
    "as_given": {"type": "bool", "default": False},
    "take_over": {"type": "bool", "default": False},
    "process": {"type": "str", "default": ""},
    "play": {"type": "str"},
    "succeeded": {"type": "bool", "default": False},
    "unchanged": {"type": "bool", "default": False},
}

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
THROTTLED = frozenset({"Throttling", "ThrottlingException", "TooManyUpdates", "TooManyRequestsException"})

PATIENCE = {"retries": 5, "delay": 1, "max_delay": 8}
"""Half a minute at the most for a call, beside botocore's own three tries: a person waits, also at the end of
a run that has failed because AWS does not answer."""

NAMED = 20
"""The most stacks that are named to whoever has mistyped one, the most similar first."""

SIMILAR = 0.7
"""How alike two names have to be for one to be the other, mistyped: two swapped letters of four are 0.75."""

MakeClient = Callable[[str, str], Any]


def client_maker(module: AnsibleAWSModule) -> MakeClient:
    """Return what makes clients of a service in a region; of one session, as there may be many regions."""
    _region, endpoint, connection = get_aws_connection_info(module)
    session = boto3.session.Session(profile_name=connection.pop("profile_name", None))
    config = aws.client_config()
    if own := connection.pop("aws_config", None):
        config = config.merge(own)

    @cache
    def make(service: str, region: str) -> Any:
        return session.client(service, region_name=region, endpoint_url=endpoint, config=config, **connection)

    return make


def machine_name() -> str:
    """Return who runs this, and where."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user of no name, as in containers
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def holder(make_client: MakeClient, region: str) -> str:
    """Return who runs this, to AWS; where it does not tell, to this machine."""
    try:
        return str(make_client("sts", region).get_caller_identity()["Arn"])
    except (BotoCoreError, ClientError, KeyError):
        return machine_name()


def has_ended(lock: Lock) -> bool:
    """Whether the run that took a lock was one of the same user on this machine, and is over for certain."""
    return lock.machine == machine_name() and life.has_ended(lock.process)


def now() -> str:
    """Return the time, in UTC."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Begin:
    """A run that begins."""

    def __init__(self, module: AnsibleAWSModule, records: RecordStore, make_client: MakeClient) -> None:
        self._module = module
        self._options = module.params
        self._records = records
        self._make_client = make_client

    def run(self) -> dict[str, Any]:
        """Read, refuse, take the lock; return the module's result. Raises RecordError and ParameterError."""
        record = self._look()
        if record is None and not self._records.store.below(self._records.paths.root, recursive=True):
            self._refuse_elsewhere()
            self._tell_others()
        run, other = "", None
        if self._options["kind"] != "reads" and not self._module.check_mode:
            run = self._take()
            try:
                record = self._look()  # whoever had the lock a moment ago may have changed it
            except (RecordError, ParameterError):
                self._records.release(run)
                raise
        else:
            other = self._records.lock()
        ended = other is not None and has_ended(other)
        if other and not ended and self._options["kind"] != "reads":
            self._module.warn(f"{self._options['stack']} is locked: {other.describe()}. It may change this.")
        return {
            **nothing_begun(),
            "run": run,
            "record": record.document() if record else {},
            "lock": {**asdict(other), "ended": ended} if other else {},
            **self._from(record or Record()),
        }

    def _look(self) -> Record | None:
        record = self._records.read()
        options = self._options
        if record and options["kind"] == "applies" and not options["as_given"]:
            refuse_unmentioned(options["stack"], record, options["mentioned"], options["known"])
        return record

    def _refuse_elsewhere(self) -> None:
        """Stop if there is nothing of the stack in this region and something in another."""
        region, applies = self._module.region, self._options["kind"] == "applies"
        if applies and self._options["as_given"]:
            return
        known = aws.enabled_regions(self._make_client, aws.home_regions(region))
        if known is None:  # no right to ask which are enabled: those that are not will not answer
            session = boto3.session.Session()
            known = dict.fromkeys(
                session.get_available_regions("ssm", session.get_partition_for_region(region)), True
            )
        others = [one for one, enabled in known.items() if enabled and one != region]
        found, _unasked = regions_with(
            self._records.paths, others, lambda other: self._make_client("ssm", other)
        )
        if found:
            raise refuse_region(self._options["stack"], region, found, applies)

    def _tell_others(self) -> None:
        """Tell whoever has mistyped the name, or is in another account, which stacks there are.

        One that is made has to be new: then only of names that are nearly the same.
        """
        stack, region = self._options["stack"], self._module.region
        makes = self._options["kind"] == "applies"
        try:
            stacks = self._records.store.stacks()
        except ParameterError:  # no right to list them, which nothing else takes
            return
        nearest = get_close_matches(stack, stacks, n=NAMED, cutoff=SIMILAR if makes else 0)
        names = ", ".join(nearest)
        if not makes:
            knows = f"It knows {names}." if nearest else "It knows none: is this the right account?"
            self._module.warn(f"Parameter Store in {region} knows no stack {stack}. {knows}")
        elif nearest:
            self._module.warn(
                f"{stack} is a new stack, and {region} has {names}. If you mean that one, interrupt this now "
                "(Ctrl-C), and name it."
            )

    def _take(self) -> str:
        run = secrets.token_hex(6)
        who = holder(self._make_client, self._module.region)
        lock = Lock(run, who, machine_name(), now(), self._options["playbook"], self._options["process"])
        take = self._records.take_over if self._options["take_over"] else self._records.take
        other = take(lock)
        if other is not None and has_ended(other):
            self._module.warn(
                f"A run of {self._options['stack']} has not given its lock back: {other.describe()}. It was "
                "yours, on this machine, and is over, so this run takes the lock over."
            )
            other = self._records.take_over(lock)
        if other is not None:
            raise refuse_lock(self._options["stack"], other)
        return run

    def _from(self, record: Record) -> dict[str, Any]:
        """What the run takes from the record."""
        options, found = self._options, record.configuration
        reads = options["kind"] != "applies"
        missing = found.not_among(options["mentioned"], options["known"]) if reads else []
        values = {
            name: found.values[name] for name in missing if name in found.values and name != "ds_stack_users"
        }
        place = record.state
        if (
            "ds_stack_dir" not in options["mentioned"]
            and place.get("type") == "local"
            and place.get("host") == socket.gethostname()
            and Path(str(place.get("folder"))).is_dir()
        ):
            values["ds_stack_dir"] = str(Path(place["folder"]).parent)
        return {"variables": values, "not_known": [name for name in missing if name in found.withheld]}


def nothing_begun(problem: str = "") -> dict[str, Any]:
    """Return the result where there is nothing."""
    return {"run": "", "record": {}, "lock": {}, "variables": {}, "not_known": [], "problem": problem}


def note(module: AnsibleAWSModule, records: RecordStore) -> None:
    """Write that the run changes the stack. Raises RecordError and ParameterError."""
    options = module.params
    lock = records.lock()
    if lock is None or lock.run != options["run"]:
        who = f"{lock.describe()}" if lock else "it was removed"
        raise RecordError(f"Nothing was done. This run of {options['playbook']} has lost its lock: {who}.")
    record = records.read()
    applies = options["kind"] == "applies"
    if record is None and not applies:
        return
    record = record or Record()
    if applies:
        configuration = Configuration(options["configuration"], options["withheld"])
        record = replace(record, configuration=configuration)
    elif options["configuration"]:
        values = {**record.configuration.values, **options["configuration"]}
        record = replace(record, configuration=replace(record.configuration, values=values))
    if place := dict(options["place"]):
        if place["type"] == "local":
            place.setdefault("host", socket.gethostname())
        record = replace(record, state=place)
    if all(one.run != lock.run for one in record.runs):
        record = record.begin(Run(lock.run, lock.playbook, lock.holder, lock.machine, lock.since))
    records.write(record)


def end(module: AnsibleAWSModule, records: RecordStore) -> None:
    """Write how the run has ended, and give the lock back. Raises RecordError and ParameterError."""
    options = module.params
    outcome, play = (SUCCEEDED, "") if options["succeeded"] else (FAILED, options["play"] or "")
    try:
        record = records.read()
        if record is not None and any(one.run == options["run"] for one in record.runs):
            if options["unchanged"]:
                before = Configuration(options["configuration"], options["withheld"])
                record = replace(record, configuration=before)
            records.write(record.end(options["run"], outcome, now(), play))
    finally:
        other = records.release(options["run"])
    if other:
        module.warn(f"While this ran, the lock of {options['stack']} was taken over: {other.describe()}.")


def problem_of(error: ParameterError, module: AnsibleAWSModule) -> str:
    """Say what has failed, and what to do."""
    code, stack = code_of(error), module.params["stack"]
    if code in DENIED:
        operation = operation_of(error)
        return (
            f"These credentials may not call {operation} on the record and the lock of {stack}. Ask for the "
            f"right ssm:{operation} on arn:aws:ssm:{module.region}:*:parameter/ds-stack/{stack}/operator/*, "
            f"or take others. AWS says: {error.exception}"
        )
    if code in EXPIRED:
        return (
            f"The credentials have expired: get new ones, as you got these, and run this again. AWS says: "
            f"{error.exception}"
        )
    if code in THROTTLED:
        return (
            f"AWS throttles Parameter Store in {module.region}, and to try again did not help: wait some "
            f"minutes, and run this again. AWS says: {error.exception}"
        )
    return f"The record of {stack} cannot be kept. {error.message}: {error.exception}"


def run(module: AnsibleAWSModule) -> dict[str, Any]:
    """Do what the task asks for and return the module's result. Raises RecordError and OptionError."""
    options = module.params
    paths = Paths(check_stack(options["stack"]))
    if not module.region:
        raise OptionError("Say in which region: with the option region or AWS_REGION.")
    if problem := identity_problem(options):
        raise OptionError(problem)
    begins = options["state"] == "begun"
    if not begins and module.check_mode:
        return {}
    try:
        make_client = client_maker(module)
        client = make_client("ssm", module.region)
        store = ParameterStore(RetryingBotoClientWrapper(client, AWSRetry.jittered_backoff(**PATIENCE)))
        records = RecordStore(store, paths)
        if begins:
            return Begin(module, records, make_client).run()
        (note if options["state"] == "noted" else end)(module, records)
    except ParameterError as error:
        problem = problem_of(error, module)
    except aws.NO_ANSWER as error:
        problem = f"Parameter Store cannot be asked: {error}"
    else:
        return {}
    if begins:
        return nothing_begun(problem)
    raise RecordError(
        f"{problem} The lock of this run may have stayed: your next run on this machine takes it over, one "
        "from elsewhere does with -e ds_stack_take_over=true"
    )


def main() -> None:
    """Run the module."""
    module = AnsibleAWSModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "noted", ["run"]), ("state", "ended", ["run"])],
        supports_check_mode=True,
        check_boto3=False,
    )
    if not HAS_BOTO3:
        module.exit_json(changed=False, **nothing_begun("The Python package boto3 is missing."))
    try:
        result = run(module)
    except (OptionError, RecordError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
