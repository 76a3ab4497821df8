"""Translation of Envoy's messages: CheckRequest to Asked, verdict to CheckResponse. Pure.

Invariant: every client header that the upstream could take for an identity header, or otherwise trust, is
either overwritten by ours or listed for removal; never both, for Envoy removes last.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from google.protobuf.wrappers_pb2 import BoolValue

from gateway.envoy.ext_authz_pb2 import (
    AttributeContext,
    CheckRequest,
    CheckResponse,
    DeniedHttpResponse,
    HeaderValue,
    HeaderValueOption,
    HttpStatus,
    OkHttpResponse,
    Status,
)
from gateway.errors import BadRequest
from gateway.gate.verdict import Forward
from gateway.http.answers import Answer
from gateway.http.headers import bearer_free, scan
from gateway.http.request import Asked, Request, check_host, check_method
from gateway.policy.paths import split_target

# Envoy writes these itself, replacing or extending what the client sent (HTTP connection manager, "Header
# sanitizing"): removing them would remove Envoy's own values.
_ENVOYS = frozenset(
    {
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-client-cert",
        "x-envoy-external-address",
        "x-envoy-internal",
    }
)
# google.rpc.Code. Envoy distinguishes only OK; other clients of this protocol, and logs, show the code.
_UNAUTHENTICATED, _PERMISSION_DENIED, _UNAVAILABLE = 16, 7, 14


def client_address(check: CheckRequest) -> str:
    """Return the address of Envoy's client; a pipe counts as loopback. Empty if Envoy did not say."""
    address = check.attributes.source.address
    return "127.0.0.1" if address.HasField("pipe") else str(address.socket_address.address)


def secure(check: CheckRequest) -> bool:
    """Return whether Envoy's client used TLS."""
    return bool(check.attributes.request.http.scheme == "https")


def redirects(check: CheckRequest) -> bool:
    """Return whether people are redirected to sign in: the `endpoint` of Envoy's route, named as over HTTP.

    Raises ValueError for an unknown one.
    """
    endpoint = check.attributes.context_extensions.get("endpoint", "auth")
    if endpoint not in {"auth", "auth-or-sign-in"}:
        raise ValueError("context_extensions: endpoint is neither auth nor auth-or-sign-in")
    return bool(endpoint == "auth-or-sign-in")


def unread(request: Request, check: CheckRequest) -> Asked:
    """Return the request of a message that could not be read, for the log."""
    method = check.attributes.request.http.method
    return Asked(request, method, "", "", request.head, request.credentials, False, elsewhere=True)


def read(request: Request, check: CheckRequest) -> Asked:
    """Return the request that is asked about; `request` gets the parts of its head that are recorded.

    Raises Refusal wherever `Request.read_head` does.
    """
    http = check.attributes.request.http
    head = request.head = scan(_headers(http), request.peer.table)
    request.credentials = head.authorization
    if head.request_id is not None:
        request.request_id = head.request_id
    if head.client is not None:
        request.client = head.client
    check_method(http.method)
    _refuse_second_host(http)
    try:
        head.host = http.host.encode("ascii")
    except UnicodeEncodeError:
        raise BadRequest("Host is not a host") from None
    check_host(head.host)
    raw_path, query = split_target(http.path)
    return Asked(
        request,
        http.method,
        raw_path,
        query,
        head,
        head.authorization,
        False,
        elsewhere=True,
        redirects=redirects(check),
        host=head.host,
    )


def _refuse_second_host(http: AttributeContext.HttpRequest) -> None:
    """Refuse a Host that differs from :authority: the upstream may use either (RFC 9113 section 8.3.1)."""
    hosts = {value for name, value in _pairs_of(http) if name.lower() == b"host"}
    if hosts - {http.host.encode()}:
        raise BadRequest("Host and :authority name different servers")


def allowed(request: Request, check: CheckRequest, forward: Forward) -> CheckResponse:
    """Return the response that lets the request pass: the headers that Envoy must set and remove.

    Raises BadRequest for foreign cookies that cannot be passed back to Envoy.
    """
    lines = _pairs(forward.identity)
    ours = {name.decode("ascii").lower(): value.decode("ascii") for name, value in lines}
    table, remove = request.peer.table, set()
    cookies = []
    for name, value in _headers(check.attributes.request.http):
        key = name.decode("utf-8").lower()
        if key not in ours and key not in _ENVOYS and table.removes(name):
            remove.add(key)
        elif key == "cookie":
            cookies.append(value)
    if forward.authorization != "all":
        authorization = request.credentials
        # An Authorization header that may be forwarded has one value: requests with more were refused.
        if authorization and (forward.authorization == "none" or not bearer_free(authorization)):
            remove.add("authorization")
    kept = [table.cookies.part(value)[0] for value in cookies]
    if kept != cookies:
        # Our session cookie is not forwarded.
        try:
            remaining = b"; ".join(value for value in kept if value).decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest("a cookie is not UTF-8") from None
        if remaining:
            ours["cookie"] = remaining
        else:
            remove.add("cookie")
    return CheckResponse(
        status=Status(code=0),
        ok_response=OkHttpResponse(headers=_options(ours.items()), headers_to_remove=sorted(remove)),
    )


def denied(answer: Answer, more: bytes) -> CheckResponse:
    """Return the response that Envoy sends to its client; `more`: additional header lines."""
    code = _PERMISSION_DENIED
    if answer.status == HTTPStatus.UNAUTHORIZED:
        code = _UNAUTHENTICATED
    elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        code = _UNAVAILABLE
    headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in answer.headers]
    headers += [(name.decode("ascii"), value.decode("latin-1")) for name, value in _pairs(more)]
    return CheckResponse(
        status=Status(code=code),
        denied_response=DeniedHttpResponse(
            status=HttpStatus(code=answer.status),
            headers=_options(headers),
            body=answer.body.decode("utf-8"),
        ),
    )


def _headers(http: AttributeContext.HttpRequest) -> list[tuple[bytes, bytes]]:
    """Return the client's headers: one by one with Envoy's `encode_raw_headers`, otherwise joined by
    commas."""
    pairs = _pairs_of(http)
    # HTTP/2 pseudo-headers have their own fields; a Host beside :authority is checked elsewhere.
    return [(name, value) for name, value in pairs if name[:1] != b":" and name.lower() != b"host"]


def _pairs_of(http: AttributeContext.HttpRequest) -> list[tuple[bytes, bytes]]:
    if http.HasField("header_map"):
        return [
            (each.key.encode(), each.raw_value or each.value.encode()) for each in http.header_map.headers
        ]
    return [(name.encode(), value.encode()) for name, value in http.headers.items()]


def _pairs(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Parse header lines into names and values."""
    parted = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    return [(name, value) for name, _, value in parted]


def _options(headers: Iterable[tuple[str, str]]) -> list[HeaderValueOption]:
    # `append: false`, not `append_action`: every version of Envoy reads it as "overwrite".
    return [
        HeaderValueOption(header=HeaderValue(key=name, value=value), append=BoolValue(value=False))
        for name, value in headers
    ]
