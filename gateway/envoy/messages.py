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
from gateway.http.headers import HeaderKind, bearer_free, scan
from gateway.http.request import Asked, Request, check_host, check_method
from gateway.policy.paths import split_target

# Envoy writes these itself, replacing or extending what the client sent (HTTP connection manager, "Header
# sanitizing"): removing them would remove Envoy's own values.
_ENVOYS = frozenset(
    {
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-client-cert",
        b"x-envoy-external-address",
        b"x-envoy-internal",
    }
)
# google.rpc.Code. Envoy distinguishes only OK; other clients of this protocol, and logs, show the code.
_UNAUTHENTICATED, _PERMISSION_DENIED, _UNAVAILABLE = 16, 7, 14


# Responses kept for repetition, and the largest one's bytes: 4 MiB in all.
_REMEMBERED, _REMEMBERED_LENGTH = 1024, 4096


class EnvoysCheck:
    """A CheckRequest, read once: each access to a message's field costs as much as ten to an attribute."""

    __slots__ = ("address", "headers", "host", "method", "pairs", "path", "redirects", "secure")

    def __init__(self, message: bytes) -> None:
        """Raises DecodeError for anything but a CheckRequest, and ValueError for an unknown `endpoint`."""
        attributes = CheckRequest.FromString(message).attributes
        address, http = attributes.source.address, attributes.request.http
        # The address of Envoy's client; a pipe counts as loopback. Empty if Envoy did not say.
        self.address: str = "127.0.0.1" if address.HasField("pipe") else address.socket_address.address
        # Whether Envoy's client used TLS.
        self.secure: bool = http.scheme == "https"
        self.method: str = http.method
        self.path: str = http.path
        self.host: str = http.host
        # Whether people are redirected to sign in: the `endpoint` of Envoy's route, named as over HTTP.
        self.redirects = False
        if attributes.context_extensions:
            endpoint = attributes.context_extensions.get("endpoint", "auth")
            if endpoint not in {"auth", "auth-or-sign-in"}:
                raise ValueError("context_extensions: endpoint is neither auth nor auth-or-sign-in")
            self.redirects = endpoint == "auth-or-sign-in"
        self.pairs = _pairs_of(http)
        # HTTP/2 pseudo-headers have their own fields; a Host beside :authority is checked elsewhere.
        self.headers = [
            (name, value) for name, value in self.pairs if name[:1] != b":" and name.lower() != b"host"
        ]


def unread(request: Request, check: EnvoysCheck) -> Asked:
    """Return the request of a message that could not be read, for the log."""
    return Asked(request, check.method, "", "", request.head, request.credentials, False, elsewhere=True)


def read(request: Request, check: EnvoysCheck) -> Asked:
    """Return the request that is asked about; `request` gets the parts of its head that are recorded.

    Raises Refusal wherever `Request.read_head` does.
    """
    head = request.head = scan(check.headers, request.peer.table)
    request.credentials = head.authorization
    if head.request_id is not None:
        request.request_id = head.request_id
    if head.client is not None:
        request.client = head.client
    check_method(check.method)
    host = check.host.encode()
    _refuse_second_host(check, host)
    if not host.isascii():
        raise BadRequest("Host is not a host")
    head.host = host
    check_host(host)
    raw_path, query = split_target(check.path)
    return Asked(
        request,
        check.method,
        raw_path,
        query,
        head,
        head.authorization,
        False,
        elsewhere=True,
        redirects=check.redirects,
        host=head.host,
    )


def _refuse_second_host(check: EnvoysCheck, host: bytes) -> None:
    """Refuse a Host that differs from :authority: the upstream may use either (RFC 9113 section 8.3.1)."""
    if len(check.headers) == len(check.pairs):
        return
    for name, value in check.pairs:
        if value != host and name.lower() == b"host":
            raise BadRequest("Host and :authority name different servers")


def allowed(request: Request, check: EnvoysCheck, forward: Forward, made: dict[object, bytes]) -> bytes:
    """Return the response that lets the request pass: the headers that Envoy must set and remove.

    `made`: earlier responses, by everything that they contain. Raises BadRequest for foreign cookies that
    cannot be passed back to Envoy, and for names that cannot.
    """
    table, remove = request.peer.table, set()
    identity, cookies = forward.identity, []
    for name, value in check.headers:
        kind = table.kind(name)
        if kind is HeaderKind.COOKIE:
            cookies.append(value)
        elif kind is not HeaderKind.KEEP and table.removes(name) and name.lower() not in _ENVOYS:
            remove.add(name.lower())
    if forward.authorization != "all":
        authorization = request.credentials
        # An Authorization header that may be forwarded has one value: requests with more were refused.
        if authorization and (forward.authorization == "none" or not bearer_free(authorization)):
            remove.add(b"authorization")
    # None: Cookie stays as it is.
    cookie: bytes | None = None
    if cookies:
        kept = [table.cookies.part(value)[0] for value in cookies]
        if kept != cookies:
            # Our session cookie is not forwarded.
            cookie = b"; ".join(value for value in kept if value)
    contents = identity, frozenset(remove), cookie
    response = made.get(contents)
    if response is None:
        response = _allowing(identity, remove, cookie)
        if len(made) >= _REMEMBERED:
            made.clear()
        if len(response) <= _REMEMBERED_LENGTH:
            made[contents] = response
    return response


def _allowing(identity: bytes, remove: set[bytes], cookie: bytes | None) -> bytes:
    ours = {name.decode("ascii").lower(): value.decode("ascii") for name, value in _pairs(identity)}
    try:
        removed = {name.decode("utf-8") for name in remove} - ours.keys()
        if cookie:
            ours["cookie"] = cookie.decode("utf-8")
        elif cookie is not None:
            removed.add("cookie")
    except UnicodeDecodeError:
        raise BadRequest("a cookie, or a name that is removed, is not UTF-8") from None
    response = CheckResponse(
        status=Status(code=0),
        ok_response=OkHttpResponse(headers=_options(ours.items()), headers_to_remove=sorted(removed)),
    )
    return bytes(response.SerializeToString())


def denied(answer: Answer, more: bytes) -> bytes:
    """Return the response that Envoy sends to its client; `more`: additional header lines."""
    code = _PERMISSION_DENIED
    if answer.status == HTTPStatus.UNAUTHORIZED:
        code = _UNAUTHENTICATED
    elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        code = _UNAVAILABLE
    headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in answer.headers]
    headers += [(name.decode("ascii"), value.decode("latin-1")) for name, value in _pairs(more)]
    response = CheckResponse(
        status=Status(code=code),
        denied_response=DeniedHttpResponse(
            status=HttpStatus(code=answer.status),
            headers=_options(headers),
            body=answer.body.decode("utf-8"),
        ),
    )
    return bytes(response.SerializeToString())


def _pairs_of(http: AttributeContext.HttpRequest) -> list[tuple[bytes, bytes]]:
    """Return the client's headers: one by one with Envoy's `encode_raw_headers`, otherwise joined by
    commas."""
    if http.HasField("header_map"):
        return [
            (each.key.encode(), each.raw_value or each.value.encode()) for each in http.header_map.headers
        ]
    return [(each.key, each.value) for each in http.headers]


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
