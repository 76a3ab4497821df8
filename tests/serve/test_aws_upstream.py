"""An upstream that is AWS: what reaches it is signed here, and the signature computed again there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gateway.aws.values import CognitoRefused
from gateway.config.load import load
from gateway.errors import GatewayError
from tests.support.certificates import Authority, accepting
from tests.support.identities import POOL_LINES, Identities
from tests.support.portal import a_session, signed_in
from tests.support.running import Running, logged, running
from tests.support.site import ALICE, PASSWORD, seed, site, with_identity_pool
from tests.support.tokens import POOL_ID, id_claims, sign
from tests.support.waiting import until
from tests.support.wire import Client, Received, Upstream, get, once

API = "sigv4: {service: execute-api, region: eu-west-1}"
S3 = "sigv4: {service: s3, region: eu-west-1}"
BOTH = f"{POOL_LINES}, token_use: [access, id]"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


def verified(received: Received, *, scheme: str = "http", secret: str = "secret") -> dict[str, str]:
    """The signed headers, after a server's work: from what was received alone, decoded as servers decode.
    Fails on a signature that AWS would refuse."""
    (authorization,) = received.all("authorization")
    match = _AUTHORIZATION.fullmatch(authorization.decode())
    assert match is not None, authorization
    key, region, service, names, signature = match.groups()
    signed = {}
    for name in names.split(";"):
        (value,) = received.all(name)
        signed[name] = value.decode("latin-1")
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(signed)
    present = {name.decode().lower() for name, _ in received.headers}
    assert {name for name in present if name.startswith("x-amz-")} <= set(signed), "unsigned"
    path, _, query = received.target.decode("ascii").partition("?")
    if service == "s3":
        path = quote(unquote_to_bytes(path), safe="/~")
    pairs = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
    encoded = sorted([quote(text, safe="-_.~", encoding="latin-1") for text in pair] for pair in pairs)
    canonical = "&".join("=".join(pair) for pair in encoded)
    request = AWSRequest(
        method=received.request_line.split()[0].decode(),
        url=f"{scheme}://{signed['host']}{path}?{canonical}",
        headers=signed,
        data=received.body,
    )
    request.context["timestamp"] = signed["x-amz-date"]
    hashed = signed.get("x-amz-content-sha256")
    if hashed not in {None, "UNSIGNED-PAYLOAD"}:
        assert hashed == hashlib.sha256(received.body).hexdigest()
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = kind(Credentials(key, secret, "session"), service, region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert signer.signature(text, request) == signature, "the signature does not match"
    return signed


def bearer(gateway: Running, **changes: Any) -> str:
    return "Authorization: Bearer " + sign(gateway.key, id_claims(**changes)).decode()


TARGETS = [
    "/",
    "/a/b/",
    "/a%20b/c:d@e/$&'()*,=+!~",
    "/%E4%B8%AD%C3%A9%2B%41",
    "/x?b=1&a=2&a=1&a",
    "/x?q=a+b%2Bc%20d&empty=&=y&&flag",
    "/x?raw=:/@!$'()*,;[]|&%7e=%7E&%E4%B8=%ff&%C3%A9",
    "/x?bad=%zz%",
]


@pytest.mark.parametrize("service", [API, S3])
async def test_paths_and_queries_go_as_they_came_and_are_signed(tmp_path: Path, service: str) -> None:
    async with running(tmp_path, upstream_lines=service, pool_lines=BOTH) as gateway:
        Identities(gateway)
        for target in TARGETS:
            reply = await once(gateway.port, get(target, bearer(gateway)))
            assert reply.status == 200, target
            received = gateway.upstream.last
            assert received.target == target.encode()
            signed = verified(received)
            assert signed["host"] == f"127.0.0.1:{gateway.upstream.port}"
            assert received.get("X-Auth-Request-User") is not None


async def test_the_server_notices_what_was_changed(tmp_path: Path) -> None:
    """The judge of these tests judged."""
    async with running(tmp_path, upstream_lines=API, pool_lines=BOTH) as gateway:
        Identities(gateway)
        head = get("/a?b=c", bearer(gateway), "Content-Type: a/b", "Content-Length: 3", method="POST")
        assert (await once(gateway.port, head + b"abc")).status == 200
        good = gateway.upstream.last
        assert verified(good)["content-type"] == "a/b"
        for old, new in ((b"/a?", b"/b?"), (b"b=c", b"b=d"), (b"POST", b"PUT"), (b" a/b", b" a/c")):
            with pytest.raises(AssertionError, match="does not match"):
                verified(Received(good.head.replace(old, new, 1), good.body))
        with pytest.raises(AssertionError, match="does not match"):
            verified(Received(good.head, b"abd"))


async def test_a_session_is_enough_and_an_access_token_alone_is_not(tmp_path: Path) -> None:
    async with running(tmp_path, upstream_lines=API, pool_lines=POOL_LINES) as gateway:
        identities, session = Identities(gateway), a_session(gateway.key)
        browser = await signed_in(gateway, session)
        for _ in range(3):
            assert (await browser.get("/things")).status == 200
            verified(gateway.upstream.last)
            assert gateway.upstream.last.get("Cookie") is None
        assert identities.asked == [session.id_token]
        reply = await once(gateway.port, get("/things", gateway.bearer()))
        assert reply.status == 403
        assert json.loads(reply.body)["detail"] == "This API needs the ID token, or a signed-in browser."
        assert gateway.worker.metrics.auth_decisions["refused", "id_token_required"] == 1
        assert len(gateway.upstream.requests) == 3


async def test_a_session_whose_pool_wants_id_tokens(tmp_path: Path) -> None:
    lines = f"{POOL_LINES}, token_use: [id]"
    async with running(tmp_path, upstream_lines=API, pool_lines=lines) as gateway:
        Identities(gateway)
        browser = await signed_in(gateway)
        assert (await browser.get("/things")).status == 200
        verified(gateway.upstream.last)


async def test_nothing_of_the_clients_own_signature_goes_on(tmp_path: Path) -> None:
    own = [
        "X-Amz-Date: 20200101T000000Z",
        "x-amz-security-token: theirs",
        "X_Amz_Content_Sha256: UNSIGNED-PAYLOAD",
        "X-Amz-Acl: public-read",
        "X.Amz.Copy-Source: other/key",
        "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678",
        "x_amzn_requestcontext: forged",
    ]
    aws = (
        "Authorization: AWS4-HMAC-SHA256 Credential=A/20200101/r/s/aws4_request, SignedHeaders=h, Signature=0"
    )
    routes = "routes: [{path: /open/**, auth: none}]\n"
    async with running(tmp_path, routes, upstream_lines=API, pool_lines=BOTH) as gateway:
        Identities(gateway)
        assert (await once(gateway.port, get("/a", bearer(gateway), *own))).status == 200
        assert verified(gateway.upstream.last)["x-amz-security-token"] == "session"
        # Nobody's request is nobody's: neither our signature nor theirs.
        for more in (aws, bearer(gateway)):
            assert (await once(gateway.port, get("/open/a", more, *own))).status == 200
            head = gateway.upstream.last.head.lower()
            assert b"authorization" not in head
            assert b"amz" not in head
            assert gateway.upstream.last.get("Host") == f"127.0.0.1:{gateway.upstream.port}".encode()


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Signature=0",
        "a=b&x-amz-security-token=theirs",
        "a;X-Amz-Credential=A",
        "%58-Amz-Algorithm=AWS4-HMAC-SHA256",
        "x%2Damz%2Ddate",
        "X-Amzn-Authorization=x",
        "AWSAccessKeyId=A&Signature=0",
    ],
)
async def test_queries_bring_no_signature_of_their_own(tmp_path: Path, query: str) -> None:
    routes = "routes: [{path: /open/**, auth: none}]\n"
    async with running(tmp_path, routes, upstream_lines=API, pool_lines=BOTH) as gateway:
        Identities(gateway)
        for path, lines in (("/a", [bearer(gateway)]), ("/open/a", [])):
            reply = await once(gateway.port, get(f"{path}?{query}", *lines))
            assert (reply.status, json.loads(reply.body)["title"]) == (400, "Bad request")
            for harmless in ("X-Amz=1", "q=X-Amz-Date", "law=%41ws", "x_amz_date=1"):
                assert (await once(gateway.port, get(f"{path}?{harmless}", *lines))).status == 200
        written = await logged(gateway, "request", 10)
        assert [line["reason"] for line in written].count("reserved_query_names") == 2


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_are_held_and_hashed(tmp_path: Path, chunked: bool) -> None:
    lines = "sigv4: {service: execute-api, region: eu-west-1, max_body_size: 256KiB}"
    body = bytes(range(256)) * 1024
    async with running(tmp_path, upstream_lines=lines, pool_lines=BOTH) as gateway:
        Identities(gateway)
        async with await Client.connect(gateway.port) as client:
            framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
            await client.send(get("/a", bearer(gateway), framing, "Expect: 100-continue", method="POST"))
            assert (await client.reply()).status == 100
            for at in range(0, len(body), 65536):
                piece = body[at : at + 65536]
                await asyncio.sleep(0.01)
                assert not gateway.upstream.requests, "sent before it was signed"
                await client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                await client.send(b"0\r\n\r\n")
            assert (await client.reply()).status == 200
            received = gateway.upstream.last
            assert received.body == body
            assert received.get("Content-Length") == str(len(body)).encode()
            assert received.get("Transfer-Encoding") is None
            assert received.get("Expect") is None
            verified(received)
            # The connection goes on, also with a body of another length behind the same head.
            assert (await client.ask(get("/b", bearer(gateway)))).status == 200
            if chunked:
                again = get("/a", bearer(gateway), framing, method="POST")
                for piece in (b"a", b"bcd"):
                    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(piece), piece)
                    assert (await client.ask(again + chunks)).status == 200
                    assert gateway.upstream.last.body == piece
                    verified(gateway.upstream.last)


async def test_a_larger_body_is_refused(tmp_path: Path) -> None:
    lines = "sigv4: {service: execute-api, region: eu-west-1, max_body_size: 10}"
    async with running(tmp_path, upstream_lines=lines, pool_lines=BOTH) as gateway:
        Identities(gateway)
        announced = get("/a", bearer(gateway), "Content-Length: 11", method="POST")
        assert (await once(gateway.port, announced)).status == 413
        grown = get("/a", bearer(gateway), "Transfer-Encoding: chunked", method="POST")
        assert (await once(gateway.port, grown + b"b\r\n12345678901\r\n")).status == 413
        assert gateway.worker.metrics.limits_reached == {"upstream.sigv4.max_body_size": 2}
        broken = get("/a", bearer(gateway), "Transfer-Encoding: chunked", method="POST")
        assert (await once(gateway.port, broken + b"nonsense\r\n")).status == 400
        assert not gateway.upstream.requests


async def test_a_client_that_does_not_send_its_body_is_not_waited_for(tmp_path: Path) -> None:
    limits = "idle_timeout: 200ms"
    async with running(tmp_path, upstream_lines=API, pool_lines=BOTH, listen_lines=limits) as gateway:
        Identities(gateway)
        begun = get("/a", bearer(gateway), "Content-Length: 11", method="POST") + b"123"
        assert (await once(gateway.port, begun)).status == 408
        assert not gateway.upstream.requests
        assert gateway.worker.app.record.in_flight == 0


async def test_s3_over_https_streams(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    upstream = Upstream(tls=accepting(authority.sign("upstream", "127.0.0.1")))
    lines = f"{S3}, tls: {{ca_file: {authority.file}}}"
    body = bytes(range(256)) * 12 * 1024
    async with running(tmp_path, upstream=upstream, upstream_lines=lines, pool_lines=BOTH) as gateway:
        Identities(gateway)
        async with await Client.connect(gateway.port) as client:
            await client.send(get("/k", bearer(gateway), f"Content-Length: {len(body)}", method="PUT"))
            await client.send(body[:1000])
            await until(lambda: upstream.requests)
            await client.send(body[1000:])
            assert (await client.reply()).status == 200
        assert upstream.last.body == body
        assert verified(upstream.last, scheme="https")["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


async def test_websockets_are_refused(tmp_path: Path) -> None:
    routes = "routes: [{path: /open, auth: none}]\n"
    ask = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: eA==",
    ]
    async with running(tmp_path, routes, upstream_lines=API, pool_lines=BOTH) as gateway:
        Identities(gateway)
        assert (await once(gateway.port, get("/a", bearer(gateway), *ask))).status == 400
        assert (await once(gateway.port, get("/open", *ask))).status == 400
        assert gateway.worker.metrics.auth_decisions["refused", "upgrade_refused"] == 2
        assert not gateway.upstream.requests


async def test_credentials_are_asked_for_once_and_before_they_end(tmp_path: Path) -> None:
    async with running(tmp_path, upstream_lines=API, pool_lines=BOTH) as gateway:
        identities = Identities(gateway)
        identities.wait = 0.1
        line = bearer(gateway)
        replies = await asyncio.gather(*(once(gateway.port, get("/a", line)) for _ in range(10)))
        assert [reply.status for reply in replies] == [200] * 10
        assert len(identities.asked) == 1
        # Another user's are others.
        assert (await once(gateway.port, get("/a", bearer(gateway, sub="bob")))).status == 200
        assert b"Credential=ASIA2/" in (gateway.upstream.last.get("Authorization") or b"")
        identities.life = 290.0
        short = bearer(gateway, sub="carol")
        for number in (3, 4):
            assert (await once(gateway.port, get("/a", short))).status == 200
            assert b"Credential=ASIA%d/" % number in (gateway.upstream.last.get("Authorization") or b"")


async def test_credentials_that_are_good_outlast_an_aws_that_is_away(tmp_path: Path) -> None:
    async with running(tmp_path, upstream_lines=API, pool_lines=BOTH) as gateway:
        identities, line = Identities(gateway, life=200.0), bearer(gateway)
        assert (await once(gateway.port, get("/a", line))).status == 200
        identities.error = GatewayError("no way out")
        for _ in range(3):
            assert (await once(gateway.port, get("/a", line))).status == 200
            assert b"Credential=ASIA1/" in (gateway.upstream.last.get("Authorization") or b"")
        assert len(identities.asked) == 2, "not asked by every request"
        identities.error, identities.life = None, 59.0
        ending = bearer(gateway, sub="bob")
        assert (await once(gateway.port, get("/a", ending))).status == 200
        identities.error = GatewayError("no way out")
        assert (await once(gateway.port, get("/a", ending))).status == 503


async def test_requests_without_credentials_from_aws_are_not_sent(tmp_path: Path) -> None:
    async with running(tmp_path, upstream_lines=API, pool_lines=BOTH) as gateway:
        identities, line = Identities(gateway), bearer(gateway)
        identities.error = CognitoRefused("NotAuthorizedException", "no")
        for _ in range(3):
            assert (await once(gateway.port, get("/a", line))).status == 403
        assert len(identities.asked) == 1, "one request, one question"
        (told, *_) = await logged(gateway, "request_failed", 3)
        assert told["reason"] == "credentials_refused"
        identities.error = GatewayError("no way out")
        assert (await once(gateway.port, get("/a", bearer(gateway, sub="bob")))).status == 503
        assert not gateway.upstream.requests
    async with running(tmp_path, upstream_lines=API, cognito=_unnamed(tmp_path)) as gateway:
        assert (await once(gateway.port, get("/a", bearer(gateway)))).status == 403
        assert not gateway.upstream.requests


def _unnamed(folder: Path) -> str:
    """The tests' pool without an identity pool, beside one that has one."""
    text = (folder / "gateway.yaml").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("cognito:")]
    bare = line.replace(f", {POOL_LINES}", "")
    other = f"{{id: eu-west-1_Other1234, client_ids: [x], jwks_file: {folder}/jwks.json, {POOL_LINES}}}"
    return bare[: bare.rindex("]}")] + f", {other}]}}\n"


async def test_a_reload_keeps_what_was_given(tmp_path: Path) -> None:
    async with running(tmp_path, upstream_lines=API, pool_lines=BOTH) as gateway:
        identities, line = Identities(gateway), bearer(gateway)
        assert (await once(gateway.port, get("/a", line))).status == 200
        path = tmp_path / "gateway.yaml"
        path.write_text(path.read_text().replace("region: eu-west-1", "region: eu-west-2"))
        await gateway.worker.reload(load(path, {}).config)
        assert (await once(gateway.port, get("/a", line))).status == 200
        verified(gateway.upstream.last)
        assert b"/eu-west-2/execute-api/" in (gateway.upstream.last.get("Authorization") or b"")
        assert len(identities.asked) == 1


async def test_without_pages_an_id_token_is_enough(tmp_path: Path) -> None:
    async with running(
        tmp_path, "sign_in: {enabled: false}\n", upstream_lines=API, pool_lines=BOTH
    ) as gateway:
        signer = gateway.worker.app.aws
        assert signer is not None
        identities = Identities.__new__(Identities)
        identities.asked, identities.life, identities.wait, identities.error = [], 3600.0, 0.0, None
        signer.credentials.pools[POOL_ID] = identities  # type: ignore[assignment]
        assert (await once(gateway.port, get("/a", bearer(gateway)))).status == 200
        verified(gateway.upstream.last)
        assert (await once(gateway.port, get("/a", gateway.bearer()))).status == 403


async def test_forward_auth_answers_as_ever(tmp_path: Path) -> None:
    """Another proxy sends the request: what it signs with is its own affair."""
    async with running(tmp_path, upstream_lines=API, pool_lines=POOL_LINES) as gateway:
        assert (await once(gateway.port, get("/oauth2/auth", gateway.bearer()))).status == 200


async def test_nothing_secret_is_logged(tmp_path: Path) -> None:
    async with running(tmp_path, "log: {level: debug}\n", upstream_lines=API, pool_lines=BOTH) as gateway:
        Identities(gateway)
        line = bearer(gateway)
        assert (await once(gateway.port, get("/a", line))).status == 200
        await logged(gateway, "request", 1)
        written = gateway.stream.data.decode()
        for secret in (line[-24:], "ASIA1", "AWS4-HMAC", "Signature="):
            assert secret not in written


async def test_from_the_sign_in_page_to_aws(tmp_path: Path) -> None:
    """All of it: a person's password at the local Cognito, its identity pool's credentials, a signature."""
    document = with_identity_pool(seed())
    async with site(tmp_path, seeded=document, upstream_lines=API) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        cookies = "Cookie: " + "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        reply = await once(at.worker.port, get("/things?x=1", cookies))
        assert reply.status == 200, reply.body
        await browser.open("/oauth2/")
        form = browser.form()[1]
        given = json.loads((await browser.post("/oauth2/credentials", form)).body)
        signed = verified(at.upstream.last, secret=given["SecretAccessKey"])
        assert signed["x-amz-security-token"] == given["SessionToken"]
        # From another site's page nothing goes out in anybody's name.
        fields = urlencode({"a": "b"})
        head = get(
            "/things", cookies, "Origin: https://evil.test", f"Content-Length: {len(fields)}", method="POST"
        )
        assert (await once(at.worker.port, head + fields.encode())).status == 403
        assert len(at.upstream.requests) == 1


def test_who_does_not_sign_does_not_load_what_signs(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gateway.serve import app; "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in {'botocore', 'boto3'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
