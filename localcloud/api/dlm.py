"""Data Lifecycle Manager, which moto does not have: policies over EBS volumes, and a run of them on demand.

Of policies those that make snapshots of volumes by their tags. Nothing runs by the clock: a day here is over
before the hour of any schedule comes.
"""

import itertools
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.ec2 import models as ec2_models
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from werkzeug.wrappers import Request, Response

from localcloud.authorization import Signed

JSON = dict[str, Any]

POLICY_TAG = "dlm:policy-id"
"""On a snapshot, that of AWS is aws:dlm:lifecycle-policy-id, which moto lets nobody set."""

DESCRIPTION = re.compile(r"[0-9A-Za-z _-]{1,500}")
DAYS = {"DAYS": 1, "WEEKS": 7, "MONTHS": 30, "YEARS": 365}


class ApiError(Exception):
    """An answer that refuses: the service's code, a message, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class Policy:
    """A lifecycle policy, with the names that the API has for its parts."""

    id: str
    region: str
    role: str
    description: str
    state: str
    details: JSON
    tags: dict[str, str]
    made: str = field(default_factory=lambda: f"{utcnow():%Y-%m-%dT%H:%M:%SZ}")

    @property
    def arn(self) -> str:
        """The policy's ARN."""
        return f"arn:aws:dlm:{self.region}:{DEFAULT_ACCOUNT_ID}:policy/{self.id}"

    def summary(self) -> JSON:
        """As GetLifecyclePolicies lists it."""
        return {
            "PolicyId": self.id,
            "Description": self.description,
            "State": self.state,
            "Tags": self.tags,
            "PolicyType": self.details.get("PolicyType", "EBS_SNAPSHOT_MANAGEMENT"),
        }

    def document(self) -> JSON:
        """As GetLifecyclePolicy shows it."""
        return {
            **self.summary(),
            "ExecutionRoleArn": self.role,
            "PolicyArn": self.arn,
            "DateCreated": self.made,
            "DateModified": self.made,
            "PolicyDetails": self.details,
        }

    def check(self) -> None:
        """Raise ApiError for what AWS refuses."""
        if not DESCRIPTION.fullmatch(self.description):
            raise ApiError("InvalidRequestException", f"Description must satisfy {DESCRIPTION.pattern}")
        if self.role.rpartition("/")[2] not in {role.name for role in _roles()}:
            raise ApiError("InvalidRequestException", f"The role {self.role} does not exist")
        if self.state not in ("ENABLED", "DISABLED"):
            raise ApiError("InvalidRequestException", f"State {self.state}")
        if self.details.get("ResourceTypes") != ["VOLUME"] or not self.details.get("TargetTags"):
            raise ApiError("InvalidRequestException", "This local cloud knows volumes by target tags only")
        for schedule in self.details.get("Schedules") or [{}]:
            _retained(schedule)


POLICIES: dict[str, Policy] = {}
"""Of the account, in all its regions; id → policy."""

_numbers = itertools.count(1)


def install() -> None:
    """Answer these calls before moto finds that it does not know the service. Call it once."""
    ask_moto = DomainDispatcherApplication.__call__
    if getattr(ask_moto, "knows_dlm", False):
        return

    def call(self: Any, environ: JSON, start_response: Callable[..., Any]) -> Iterable[bytes]:
        signed = Signed.parse(environ.get("HTTP_AUTHORIZATION"))
        if signed is None or signed.service != "dlm":
            return ask_moto(self, environ, start_response)
        return respond(Request(environ), signed.region)(environ, start_response)

    call.knows_dlm = True  # type: ignore[attr-defined]
    DomainDispatcherApplication.__call__ = call


def action(method: str, path: str) -> str:
    """The name of a call, for faults and the log; empty for none of them."""
    below = "one" if path.strip("/").count("/") else "all"
    return {
        ("POST", "policies", "all"): "CreateLifecyclePolicy",
        ("GET", "policies", "all"): "GetLifecyclePolicies",
        ("GET", "policies", "one"): "GetLifecyclePolicy",
        ("PATCH", "policies", "one"): "UpdateLifecyclePolicy",
        ("DELETE", "policies", "one"): "DeleteLifecyclePolicy",
        ("GET", "tags", "one"): "ListTagsForResource",
        ("POST", "tags", "one"): "TagResource",
        ("DELETE", "tags", "one"): "UntagResource",
    }.get((method, path.strip("/").partition("/")[0], below), "")


def respond(request: Request, region: str) -> Response:
    """Answer one call."""
    try:
        found = CALLS[action(request.method, request.path)](_Call(request, region))
    except KeyError:
        return Response(json.dumps({"Message": "no such call"}), 404, content_type="application/json")
    except ApiError as error:
        text = json.dumps({"Code": error.code, "Message": str(error)})
        headers = {"x-amzn-ErrorType": error.code}
        return Response(text, error.status, headers, content_type="application/json")
    return Response(json.dumps(found), content_type="application/json")


@dataclass(frozen=True)
class _Call:
    request: Request
    region: str

    @property
    def body(self) -> JSON:
        found: JSON = json.loads(self.request.get_data() or b"{}")
        return found

    @property
    def policy(self) -> Policy:
        """The policy that the path names, by its id or its ARN. Raises ApiError."""
        named = urllib.parse.unquote(self.request.path.strip("/").partition("/")[2]).rpartition("/")[2]
        policy = POLICIES.get(named)
        if policy is None or policy.region != self.region:
            raise ApiError("ResourceNotFoundException", f"Policy {named} does not exist", 404)
        return policy


def _create(call: _Call) -> JSON:
    body = call.body
    policy = Policy(
        f"policy-{next(_numbers):017x}",
        call.region,
        body["ExecutionRoleArn"],
        body["Description"],
        body["State"],
        body.get("PolicyDetails", {}),
        body.get("Tags", {}),
    )
    policy.check()
    POLICIES[policy.id] = policy
    return {"PolicyId": policy.id}


def _list(call: _Call) -> JSON:
    wanted = call.request.args
    target = [tuple(text.split("=", 1)) for text in wanted.getlist("targetTags")]
    return {
        "Policies": [
            policy.summary()
            for policy in POLICIES.values()
            if policy.region == call.region
            and (not wanted.getlist("policyIds") or policy.id in wanted.getlist("policyIds"))
            and wanted.get("state") in (None, policy.state)
            and set(target) <= _pairs(policy.details["TargetTags"])
        ]
    }


def _update(call: _Call) -> JSON:
    policy, body = call.policy, call.body
    changed = Policy(
        policy.id,
        policy.region,
        body.get("ExecutionRoleArn", policy.role),
        body.get("Description", policy.description),
        body.get("State", policy.state),
        body.get("PolicyDetails", policy.details),
        policy.tags,
        policy.made,
    )
    changed.check()
    POLICIES[policy.id] = changed
    return {}


def _delete(call: _Call) -> JSON:
    del POLICIES[call.policy.id]  # what it has made stays
    return {}


def _tag(call: _Call) -> JSON:
    call.policy.tags.update(call.body["Tags"])
    return {}


def _untag(call: _Call) -> JSON:
    for name in call.request.args.getlist("tagKeys"):
        call.policy.tags.pop(name, None)
    return {}


CALLS: Mapping[str, Callable[[_Call], JSON]] = {
    "CreateLifecyclePolicy": _create,
    "GetLifecyclePolicies": _list,
    "GetLifecyclePolicy": lambda call: {"Policy": call.policy.document()},
    "UpdateLifecyclePolicy": _update,
    "DeleteLifecyclePolicy": _delete,
    "ListTagsForResource": lambda call: {"Tags": call.policy.tags},
    "TagResource": _tag,
    "UntagResource": _untag,
}


# --- a run of the policies, as AWS does it by the clock -------------------------------------------


def run_policies(now: datetime | None = None) -> list[str]:
    """Do what each enabled policy has to do on its day; the ids of the snapshots made.

    now: without a time zone, as moto's own times, and in UTC.
    """
    moment = now or utcnow()
    return [
        made
        for policy in list(POLICIES.values())
        if policy.state == "ENABLED"
        for made in _run(policy, moment)
    ]


def _run(policy: Policy, now: datetime) -> Iterator[str]:
    ec2 = ec2_models.ec2_backends[DEFAULT_ACCOUNT_ID][policy.region]
    target = _pairs(policy.details["TargetTags"])
    for volume in list(ec2.volumes.values()):
        if not target & _pairs(volume.get_tags(), "key", "value"):  # one of them is enough for AWS
            continue
        for schedule in policy.details.get("Schedules") or []:
            snapshot = ec2.create_snapshot(
                volume.id, f"Created for policy: {policy.id} schedule: {schedule['Name']}"
            )
            snapshot.start_time = now
            tags = volume.get_tags() if schedule.get("CopyTags") else []
            snapshot.add_tags(
                {tag["key"]: tag["value"] for tag in tags}
                | {tag["Key"]: tag["Value"] for tag in schedule.get("TagsToAdd") or []}
                | {POLICY_TAG: policy.id}
            )
            yield snapshot.id
    for schedule in policy.details.get("Schedules") or []:
        _retire(ec2, policy, schedule, now)


def _retire(ec2: Any, policy: Policy, schedule: JSON, now: datetime) -> None:
    """Delete what is older than is wanted, but the last one of each volume."""
    mine = [
        snapshot
        for snapshot in ec2.snapshots.values()
        if (POLICY_TAG, policy.id) in _pairs(snapshot.get_tags(), "key", "value")
        and snapshot.description.endswith(f" schedule: {schedule['Name']}")
    ]
    count, age = _retained(schedule)
    for volume in {snapshot.volume.id for snapshot in mine}:
        of_volume = sorted(
            (one for one in mine if one.volume.id == volume), key=lambda one: one.start_time, reverse=True
        )
        for number, snapshot in enumerate(of_volume):
            if (count is not None and number >= count) or (
                age and number and now - snapshot.start_time > age
            ):
                ec2.delete_snapshot(snapshot.id)


def _retained(schedule: JSON) -> tuple[int | None, timedelta | None]:
    """How many snapshots of a volume stay, or for how long. Raises ApiError."""
    rule = schedule.get("RetainRule") or {}
    if rule.get("Count"):
        return int(rule["Count"]), None
    if rule.get("Interval") and rule.get("IntervalUnit") in DAYS:
        return None, timedelta(days=rule["Interval"] * DAYS[rule["IntervalUnit"]])
    raise ApiError(
        "InvalidRequestException", "Each schedule needs a RetainRule with Count, or Interval and its unit"
    )


def _pairs(tags: Iterable[Mapping[str, str]], key: str = "Key", value: str = "Value") -> set[tuple[str, ...]]:
    return {(tag[key], tag[value]) for tag in tags}


def _roles() -> list[Any]:
    return list(iam_backends[DEFAULT_ACCOUNT_ID]["aws"].roles.values())
