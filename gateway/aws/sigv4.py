"""AWS Signature Version 4 of a request that is forwarded unchanged, computed by botocore.

AWS computes the signature over the request as it decodes and re-encodes it, so botocore is given that form
while the client's spelling is forwarded. Invariant: every header named in the signature is sent with exactly
the value that was signed. Source: IAM user guide, "Create a signed AWS API request"; S3 API reference,
"Authenticating requests".
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as Keys

from gateway.aws.identity_pool import Credentials

# S3 signs the decoded path encoded once; all other services encode it twice.
_S3 = frozenset({"s3", "s3-object-lambda", "s3-outposts"})
_WRITTEN = ("X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-SHA256", "Authorization")
# The same option under both of its names: for S3, and for all others.
_UNSIGNED = {"client_config": Config(s3={"payload_signing_enabled": False}), "payload_signing_enabled": False}


class Signable(NamedTuple):
    """A request as it will be sent. `query` has no question mark; `body` None: the payload is not signed."""

    method: str
    scheme: str
    host: str
    path: str
    query: str
    content_type: str | None
    body: bytes | None


def signature_lines(asked: Signable, given: Credentials, *, service: str, region: str) -> bytes:
    """Return the header lines of the signature, made now."""
    url = f"{asked.scheme}://{asked.host}{_path(asked.path, service)}"
    query = canonical_query(asked.query)
    request = AWSRequest(method=asked.method, url=f"{url}?{query}" if query else url, data=asked.body or b"")
    request.headers["Host"] = asked.host
    if asked.content_type is not None:
        request.headers["Content-Type"] = asked.content_type
    if asked.body is None:
        request.context.update(_UNSIGNED)
    keys = Keys(given.access_key_id, given.secret_access_key, given.session_token)
    signer = S3SigV4Auth if service in _S3 else SigV4Auth
    signer(keys, service, region).add_auth(request)
    lines = [f"{name}: {request.headers[name]}\r\n" for name in _WRITTEN if name in request.headers]
    return "".join(lines).encode("latin-1")


def _path(path: str, service: str) -> str:
    """Return the path for botocore, which encodes it once more for every service except S3."""
    return quote(unquote_to_bytes(path), safe="/~") if service in _S3 else path


def canonical_query(query: str) -> str:
    """Return the query decoded as AWS reads it (`+` is a space) and encoded as it signs; botocore sorts
    it."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, _, value in pairs)


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="-_.~")
