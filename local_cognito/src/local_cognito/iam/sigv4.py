"""Verification of AWS Signature Version 4, for credentials that this server issued.

Pure. Invariant: signatures are compared in constant time; a request not signed as AWS requires is refused.
Source: IAM user guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from local_cognito.errors import AwsError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/"
    r"(?P<scope>(?P<day>[0-9]{8})/[^/,\s]+/[^/,\s]+/aws4_request), *"
    r"SignedHeaders=(?P<headers>[^,\s]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
# Clock skew in seconds that AWS tolerates.
_SKEW = 900.0


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request; header names are in lower case."""

    headers: Mapping[str, str]
    body: bytes


def access_key(request: Signed) -> str:
    """Return the access key ID that the request names; nothing is verified."""
    return _parsed(request)["key"]


def check(request: Signed, secret: str, now: float) -> None:
    """Verify the signature of a POST to `/` without a query. Raises SignatureDoesNotMatch."""
    match = _parsed(request)
    names = match["headers"].split(";")
    moment = request.headers.get("x-amz-date", "")
    if not {"host", "x-amz-date"} <= set(names) or not moment.startswith(match["day"]):
        raise _refused()
    if abs(_seconds(moment) - now) > _SKEW:
        raise AwsError("SignatureDoesNotMatch", f"Signature expired or not yet current: {moment}", 403)
    canonical = "\n".join(
        [
            "POST",
            "/",
            "",
            *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in names),
            "",
            match["headers"],
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", moment, match["scope"], digest])
    key = f"AWS4{secret}".encode()
    for part in match["scope"].split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    signature = hmac.digest(key, text.encode(), hashlib.sha256).hex()
    if not hmac.compare_digest(signature, match["signature"]):
        raise _refused()


def _parsed(request: Signed) -> re.Match[str]:
    authorization = request.headers.get("authorization")
    if authorization is None:
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        raise AwsError(
            "IncompleteSignature", "The Authorization header is not an AWS Signature Version 4", 400
        )
    return match


def _seconds(moment: str) -> float:
    try:
        return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise _refused() from None


def _refused() -> AwsError:
    return AwsError(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided.",
        403,
    )
