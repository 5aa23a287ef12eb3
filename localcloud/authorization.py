"""Who may call the API. Signatures are not verified; keys must be known, and instances may do little.

Only this of IAM is enforced: calls to Systems Manager that are signed with an instance's credentials are
checked against the policies of the instance's role, and so is the decryption that they ask for. Everything
else a known key may do.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.credentials import Holder
from localcloud.policies import allows, decide

#: The account's own key of Systems Manager. Its key policy has everybody decrypt whom SSM lets read.
DEFAULT_KEY = "alias/aws/ssm"

_CREDENTIAL = re.compile(
    r"Credential=(?P<key>[^/,\s]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
)


@dataclass(frozen=True)
class Signed:
    """What a request's signature says.

    Attributes:
        key: access key id.
        region: for example ``us-east-1``.
        service: for example ``ec2``.
    """

    key: str
    region: str
    service: str

    @classmethod
    def parse(cls, authorization: str | None) -> "Signed | None":
        """Read an ``Authorization`` header; None when it is no AWS signature of version 4."""
        match = _CREDENTIAL.search(authorization or "")
        return cls(match["key"], match["region"], match["service"]) if match else None


@dataclass(frozen=True)
class Refusal:
    """An error answer: the service's code, a message, and the HTTP status."""

    code: str
    message: str
    status: int


def unknown_key(service: str) -> Refusal:
    """What AWS says to an access key that it does not know."""
    if service == "ec2":
        text = "AWS was not able to validate the provided access credentials"
        return Refusal("AuthFailure", text, 401)
    if service in ("sts", "iam"):
        return Refusal("InvalidClientTokenId", "The security token included in the request is invalid", 403)
    return Refusal(
        "UnrecognizedClientException", "The security token included in the request is invalid.", 400
    )


def ssm_resources(body: Mapping[str, Any], region: str, account: str) -> list[str]:
    """ARNs of the parameters that a call is about; ``*`` for a call that names none."""
    names = [body[field] for field in ("Name", "Path") if field in body] + list(body.get("Names", []))
    prefix = f"arn:aws:ssm:{region}:{account}:parameter"
    found = []
    for name in names:
        bare = name if name.startswith("arn:") else name.split(":")[0]  # without :version or :label
        if not bare.startswith("arn:"):
            bare = f"{prefix}{'' if bare.startswith('/') else '/'}{bare}"
        found.append(bare)
    return found or ["*"]


@dataclass(frozen=True)
class Secret:
    """A SecureString that a call would decrypt.

    Attributes:
        parameter: its ARN.
        key: the ARN of its KMS key.
        is_default: whether that is the account's own.
    """

    parameter: str
    key: str
    is_default: bool


def versions_asked(
    target: str, body: Mapping[str, Any], parameters: Mapping[str, Sequence[Any]]
) -> Iterator[Any]:
    """The versions that a call would show of the parameters that there are: name → moto's, oldest first."""
    if "Path" in body:
        below = f"{body['Path'].rstrip('/')}/"
        yield from (versions[-1] for name, versions in parameters.items() if name.startswith(below))
    for asked in [body[field] for field in ("Name",) if field in body] + list(body.get("Names", [])):
        bare = asked.partition(":parameter")[2] if asked.startswith("arn:") else asked
        name, _, selected = bare.partition(":")
        versions = parameters.get(name, [])
        if target.endswith("History"):
            yield from versions
        elif selected:
            yield from (one for one in versions if selected == str(one.version) or selected in one.labels)
        else:
            yield from versions[-1:]


def refuse_ssm(
    holder: Holder,
    documents: Iterable[Mapping[str, Any]],
    target: str,
    body: Mapping[str, Any],
    region: str,
    *,
    secrets: Iterable[Secret] = (),
) -> Refusal | None:
    """Check a Systems Manager call of an instance; None when its role's policies allow it.

    Args:
        holder: whose credentials signed it.
        documents: the role's policy documents.
        target: the header ``X-Amz-Target``, for example ``AmazonSSM.GetParameter``.
        body: the call's parameters.
        secrets: what it would decrypt.
    """
    action = f"ssm:{target.rpartition('.')[2]}"
    policies = list(documents)
    for resource in ssm_resources(body, region, holder.account):
        if not allows(policies, action, resource):
            who = f"arn:aws:sts::{holder.account}:assumed-role/{holder.role}"
            text = f"User: {who} is not authorized to perform: {action} on resource: {resource}"
            return Refusal("AccessDeniedException", f"{text} because no identity-based policy allows it", 400)
    for secret in secrets:
        context = {"kms:EncryptionContext:PARAMETER_ARN": secret.parameter}
        decision = decide(policies, "kms:Decrypt", secret.key, context)
        if decision is False or (decision is None and not secret.is_default):
            text = (
                "The ciphertext refers to a customer master key that does not exist, does not exist in this "
                "region, or you are not allowed to access."
            )
            return Refusal("AccessDeniedException", text, 400)
    return None
