"""The HTTP side: everything that comes back from the API is AWS-shaped JSON, whatever was sent."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_cognito import seed
from local_cognito.errors import AwsError, CannotRun
from local_cognito.identity.operations import IDENTITY_OPERATIONS
from local_cognito.operations import OPERATIONS
from local_cognito.server import LocalCognito, require_loopback
from local_cognito.shapes import Field
from tests.support.emulator import Cognito
from tests.support.fuzz import examples
from tests.support.local_cognito import serving

SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/cognito-idp/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)
TARGET = "AWSCognitoIdentityProviderService."


class Wire:
    def __init__(self, local: LocalCognito, session: aiohttp.ClientSession) -> None:
        self.local, self.session = local, session

    async def post(
        self, operation: str, body: Any = None, *, authorization: str | None = SIGNATURE
    ) -> tuple[int, dict[str, Any], Any]:
        """Status, JSON and headers; fails when the answer is not AWS-shaped."""
        headers = {"X-Amz-Target": operation, "Content-Type": "application/x-amz-json-1.1"}
        if authorization is not None:
            headers["Authorization"] = authorization
        data = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
        async with self.session.post(self.local.url + "/", data=data, headers=headers) as answer:
            assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
            assert answer.headers["x-amzn-RequestId"]
            parsed = json.loads(await answer.read())
            if answer.status != 200:
                assert set(parsed) == {"__type", "message"}
                assert answer.headers["x-amzn-errortype"] == parsed["__type"] + ":"
            return answer.status, parsed, answer.headers


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving(seed.read(seed.DEMO)) as local, aiohttp.ClientSession() as session:
        yield Wire(local, session)


async def test_an_operation_answers(wire: Wire) -> None:
    status, answer, _ = await wire.post(TARGET + "ListUserPools", {"MaxResults": 5})
    assert status == 200
    assert [pool["Id"] for pool in answer["UserPools"]] == ["us-east-1_LocalDemo"]


@pytest.mark.parametrize(
    "target", ["", "ListUserPools", "DynamoDB.ListTables", TARGET + "GetCSVHeader", TARGET]
)
async def test_unknown_operations_are_an_aws_error(wire: Wire, target: str) -> None:
    status, answer, _ = await wire.post(target)
    assert (status, answer["__type"]) == (400, "UnknownOperationException")


async def test_administrators_must_sign_and_users_need_not(wire: Wire) -> None:
    describe = TARGET + "DescribeUserPool"
    body = {"UserPoolId": "us-east-1_LocalDemo"}
    _, answer, _ = await wire.post(describe, body, authorization=None)
    assert answer == {
        "__type": "MissingAuthenticationTokenException",
        "message": "Missing Authentication Token",
    }
    for wrong in ("Bearer x", SIGNATURE.replace("cognito-idp", "s3"), SIGNATURE[:-1]):
        _, answer, _ = await wire.post(describe, body, authorization=wrong)
        assert answer["__type"] == "IncompleteSignatureException"
    _, answer, _ = await wire.post(TARGET + "GetUser", {"AccessToken": "x"}, authorization=None)
    assert answer["__type"] == "NotAuthorizedException"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"MaxResults": NaN}',
        b'{"NextToken": "\\ud800", "MaxResults": 1}',
        b'{"MaxResults": "1"}',
        b'{"MaxResults": true}',
        b"[" * 100_000,
    ],
)
async def test_broken_bodies_are_a_serialization_error(wire: Wire, body: bytes) -> None:
    status, answer, _ = await wire.post(TARGET + "ListUserPools", body)
    assert (status, answer["__type"]) == (400, "SerializationException")


async def test_a_body_over_the_limit_is_refused(wire: Wire) -> None:
    status, answer, _ = await wire.post(TARGET + "ListUserPools", b" " * (256 * 1024 + 1))
    assert (status, answer["__type"]) == (413, "RequestEntityTooLargeException")


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        (
            "DescribeUserPool",
            {"UserPoolId": "nonsense"},
            "1 validation error detected: Value 'nonsense' at 'userPoolId' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\w-]+_[0-9a-zA-Z]+",
        ),
        (
            "DescribeUserPool",
            {"UserPoolId": None},
            "1 validation error detected: Value null at 'userPoolId' failed to satisfy constraint: "
            "Member must not be null",
        ),
        ("DescribeUserPool", {"UserPoolId": "a_b", "X": 1}, "X is not supported by the local Cognito"),
    ],
)
async def test_parameters_are_validated_in_cognitos_words(
    wire: Wire, operation: str, body: dict[str, Any], message: str
) -> None:
    _, answer, _ = await wire.post(TARGET + operation, body)
    assert answer == {"__type": "InvalidParameterException", "message": message}


async def test_a_refused_secret_is_not_in_the_message(wire: Wire) -> None:
    body = {"UserPoolId": "us-east-1_LocalDemo", "Username": "alice", "Password": "hush hush "}
    _, answer, _ = await wire.post(TARGET + "AdminSetUserPassword", body)
    assert answer["__type"] == "InvalidParameterException"
    assert "hush" not in answer["message"]
    flow = {"ClientId": "x", "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {"PASSWORD": ["hush"]}}
    _, answer, _ = await wire.post(TARGET + "InitiateAuth", flow)
    assert answer["__type"] == "SerializationException"
    assert "hush" not in answer["message"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_TABLE = {**IDENTITY_OPERATIONS, **OPERATIONS}


def _shaped(field: Field) -> st.SearchStrategy[Any]:
    """Mostly what the field's shape allows, so that the operation itself is reached; nulls anywhere."""
    if field.values or field.only:
        right: st.SearchStrategy[Any] = st.sampled_from([*field.values, *(field.only or ())])
    elif field.members is not None:
        right = _members(field.members)
    elif field.kind is list:
        right = st.lists(_shaped(field.item) if field.item else _JSON, max_size=2)
    elif field.kind is dict:
        right = (
            st.dictionaries(st.text("ab", min_size=1, max_size=2), _shaped(field.item), max_size=2)
            if (field.item)
            else st.dictionaries(st.text(max_size=4), _JSON, max_size=2)
        )
    elif field.kind is int:
        right = st.integers(field.minimum or 0, field.maximum or 10)
    elif field.kind is bool:
        right = st.booleans()
    else:
        right = st.sampled_from(["alice", "a@b.c", "+15550000000", "Correct-Horse-1", "a" * 24, "email"])
    return right | st.none()


def _members(fields: Mapping[str, Field]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: _shaped(field) for name, field in fields.items()})


@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), operation=st.sampled_from(sorted(_TABLE)))
def test_no_json_makes_an_operation_fail(cognito: Cognito, data: st.DataObject, operation: str) -> None:
    """Whatever the members hold, the answer is a result or an AwsError; anything else would be a 500."""
    fields = _TABLE[operation].fields
    ids = {"UserPoolId": cognito.pool_id, "ClientId": cognito.client_id, "Username": "alice"}
    known = {name: value for name, value in ids.items() if name in fields}
    request = {**data.draw(_members(fields)), **(known if data.draw(st.booleans()) else {})}
    if data.draw(st.integers(0, 9)) == 0:
        request |= data.draw(st.dictionaries(st.sampled_from(sorted(fields)), _JSON, max_size=2))
    with contextlib.suppress(AwsError):
        cognito.call(operation, **request)


async def test_keys_and_configuration_are_published(wire: Wire) -> None:
    issuer = f"{wire.local.url}/us-east-1_LocalDemo"
    async with wire.session.get(issuer + "/.well-known/openid-configuration") as answer:
        document = await answer.json()
    assert document["issuer"] == issuer
    async with wire.session.get(document["jwks_uri"]) as answer:
        keys = (await answer.json())["keys"]
    assert len({key["kid"] for key in keys}) == 2
    assert all(set(key) == {"alg", "e", "kid", "kty", "n", "use"} for key in keys)
    request = {"USERNAME": "alice@example.com", "PASSWORD": "Wonderland-2024"}
    result = wire.local.call(
        "InitiateAuth",
        ClientId="1demo2client3local4cognito",
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters=request,
    )["AuthenticationResult"]
    token = result["AccessToken"]
    key = next(one for one in keys if one["kid"] == jwt.get_unverified_header(token)["kid"])
    assert jwt.decode(token, jwt.PyJWK(key), algorithms=["RS256"], issuer=issuer)["token_use"] == "access"


async def test_the_outbox_is_read_under_loopback_names_only(wire: Wire) -> None:
    named = {"ClientId": "1demo2client3local4cognito", "Username": "bob@example.com"}
    await wire.post(TARGET + "SignUp", {**named, "Password": "Wonderland-2025"}, authorization=None)
    await wire.post(TARGET + "ResendConfirmationCode", named, authorization=None)
    async with wire.session.get(wire.local.url + "/_outbox") as answer:
        sent = await answer.json()
    assert [(one["destination"], one["kind"], one["medium"]) for one in sent] == [
        ("bob@example.com", "sign-up", "EMAIL")
    ] * 2
    confirm = {**named, "ConfirmationCode": sent[-1]["code"]}
    assert (await wire.post(TARGET + "ConfirmSignUp", confirm, authorization=None))[0] == 200
    for query, number in (("?username=bob@example.com", 2), ("?username=eve", 0), ("?kind=invitation", 0)):
        async with wire.session.get(wire.local.url + "/_outbox" + query) as answer:
            assert len(await answer.json()) == number
    # A browser gets a page, in which nothing that was typed is markup.
    async with wire.session.get(wire.local.url + "/_outbox", headers={"Accept": "text/html"}) as answer:
        page = await answer.text()
    assert answer.content_type == "text/html"
    assert f'<p class="code">{sent[-1]["code"]}</p>' in page
    assert page.count("E-mail to bob@example.com") == 2
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for host in ("evil.example:9229", "127.0.0.1.evil.example", "[", ""):
        async with wire.session.get(wire.local.url + "/_outbox", headers={"Host": host}) as answer:
            assert answer.status in (400, 403)


async def test_a_pool_that_does_not_exist_publishes_nothing(wire: Wire) -> None:
    for name in ("jwks.json", "openid-configuration"):
        async with wire.session.get(f"{wire.local.url}/us-east-1_Nobody123/.well-known/{name}") as answer:
            assert answer.status == 404


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
async def test_it_listens_on_loopback_only(host: str) -> None:
    local = LocalCognito()
    with pytest.raises(CannotRun, match="loopback"):
        await local.start(host, 0)
    await local.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_every_loopback_address_is_fine(host: str) -> None:
    require_loopback(host)


async def test_a_taken_port_is_an_error_and_another_start_works(wire: Wire) -> None:
    local = LocalCognito()
    with pytest.raises(OSError, match="in use"):
        await local.start(port=int(wire.local.url.rpartition(":")[2]))
    await local.start(port=0)
    assert local.call("ListUserPools", MaxResults=1) == {"UserPools": []}
    await local.stop()
