"""AWS signature version 4 for one request that is about to be forwarded as it is; made by botocore.

AWS works the signature out from what it receives, decoded and encoded anew by its own rules; so botocore is
given the request in that form, while the client's spelling travels on. Invariant: every header named in the
signature is sent with the very value that was signed.
Source: IAM user guide, "Create a signed AWS API request"; S3 API reference, "Authenticating requests".
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as Keys

from gateway.aws.identity_pool import Credentials

# Their keys are the path decoded once: encoded once in the signature, where all others encode twice.
_S3 = frozenset({"s3", "s3-object-lambda", "s3-outposts"})
_WRITTEN = ("X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-SHA256", "Authorization")
# Both spellings of one wish: that of S3, and that of all others.
_UNSIGNED = {"client_config": Config(s3={"payload_signing_enabled": False}), "payload_signing_enabled": False}


class Signable(NamedTuple):
    """A request as it will be sent; `query` without its question mark, `body` None: it is not signed."""

    method: str
    scheme: str
    host: str
    path: str
    query: str
    content_type: str | None
    body: bytes | None


def signature_lines(asked: Signable, given: Credentials, *, service: str, region: str) -> bytes:
    """The header lines that sign it, as of now."""
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
    """botocore encodes the path of all services once more but S3's, whose keys it takes as they come."""
    return quote(unquote_to_bytes(path), safe="/~") if service in _S3 else path


def canonical_query(query: str) -> str:
    """Decoded as AWS reads it, a plus sign being a space, and encoded as it signs; botocore sorts."""
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, _, value in pairs)


def _encoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe="-_.~")
