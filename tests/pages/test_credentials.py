"""Temporary AWS credentials: for whom, how often they are asked for, how long they are kept."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.config import Config

from gateway.aws.identity_pool import Credentials
from gateway.aws.provision.wanted import trust_policy
from gateway.aws.values import CognitoRefused
from gateway.errors import GatewayError
from local_cognito.iam.roles import create_role
from local_cognito.server import LocalCognito
from tests.support.identities import POOL_LINES, Identities
from tests.support.managed_login import ORIGIN, site
from tests.support.portal import Browser, a_session, form_token, signed_in, ticket_of
from tests.support.ports import free_port
from tests.support.running import Running, logged, running
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, id_claims, issuer_of, sign
from tests.support.waiting import until
from tests.support.wire import Reply

NEEDED = "AWS credentials need the ID token, or a signed-in browser."


async def of(
    gateway: Running, browser: Browser, *lines: str, origin: str | None = "http://api.test"
) -> Reply:
    """By the session, as a form of ours asks for them."""
    token = await form_token(gateway, browser)
    return await browser.post("/oauth2/credentials", f"csrf={token}", *lines, origin=origin)


async def test_for_a_session(tmp_path: Path) -> None:
    async with running(tmp_path, pool_lines=POOL_LINES) as gateway:
        identities, session = Identities(gateway), a_session(gateway.key)
        browser = await signed_in(gateway, session)
        for _ in range(3):
            reply = await of(gateway, browser)
            assert reply.status == 200
            given = json.loads(reply.body)
            assert given["AccessKeyId"] == "ASIA1"
            assert given["Version"] == 1
            assert given["Expiration"].endswith("Z")
            assert reply.get("cache-control") == "no-store"
            assert reply.get("cross-origin-resource-policy") == "same-origin"
        assert identities.asked == [session.id_token]


async def test_no_other_origin_gets_them_by_cookie(tmp_path: Path) -> None:
    """Not even one that `cors` trusts with its visitors' cookies."""
    yaml = "cors: {allow_origins: ['https://app.test'], allow_credentials: true}\n"
    async with running(tmp_path, yaml, pool_lines=POOL_LINES) as gateway:
        identities, browser = Identities(gateway), await signed_in(gateway)
        origin = "Origin: https://app.test"
        assert (await browser.get("/api", origin)).status == 200, "the API is open to it"
        reply = await browser.get("/oauth2/credentials", origin)
        assert (reply.status, b"ASIA" in reply.body) == (403, False)
        reply = await of(gateway, browser, origin="https://app.test")
        assert (reply.status, b"ASIA" in reply.body) == (403, False)
        assert identities.asked == []


async def test_for_an_id_token_and_for_nothing_else(tmp_path: Path) -> None:
    async with running(tmp_path, pool_lines=POOL_LINES) as gateway:
        identities = Identities(gateway)
        browser = Browser(gateway.port)

        def bearer(**changes: Any) -> str:
            return "Authorization: Bearer " + sign(gateway.key, id_claims(**changes)).decode()

        assert (await browser.get("/oauth2/credentials", bearer())).status == 200
        for lines in (
            [],
            [gateway.bearer()],
            [bearer(lifetime=-1)],
            [bearer(aud="2another")],
            [bearer(iss="https://evil.test")],
            ["Authorization: Bearer x.y.z"],
            ["Authorization: Basic YTpi"],
        ):
            assert (await browser.get("/oauth2/credentials", *lines)).status == 401
        assert len(identities.asked) == 1


async def test_an_access_token_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    async with running(tmp_path, pool_lines=POOL_LINES) as gateway:
        reply = await Browser(gateway.port).get("/oauth2/credentials", gateway.bearer())
        assert (reply.status, json.loads(reply.body)["detail"]) == (401, NEEDED)
        assert f'error="invalid_token", error_description="{NEEDED}"' in (reply.get("www-authenticate") or "")
        (line,) = await logged(gateway, "auth_failure", 1)
        assert line["reason"] == "wrong_token_use"
        # Nobody learns anything by a token that Cognito did not sign.
        forged = sign(KeyPair.generate("key-1", serial=1), access_claims()).decode()
        reply = await Browser(gateway.port).get("/oauth2/credentials", f"Authorization: Bearer {forged}")
        assert json.loads(reply.body)["detail"] == "The access token is invalid."


async def test_an_id_token_that_lives_longer_than_its_sessions_access_token_is_good_till_its_end(
    tmp_path: Path,
) -> None:
    pool = f"id: {POOL_ID}, client_ids: [{CLIENT_ID}], token_use: [id], jwks_file: {tmp_path}/jwks.json"
    cognito = (
        f"cognito: {{endpoint_url: 'http://127.0.0.1:{free_port()}', revocation: {{check_every: 1s}}, "
        f"user_pools: [{{{pool}, issuers: ['{issuer_of(POOL_ID)}'], {POOL_LINES}}}]}}\n"
    )
    async with running(tmp_path, cognito=cognito) as gateway:
        Identities(gateway)
        short = a_session(gateway.key, lifetime=2, refresh="")
        session = replace(short, id_token=sign(gateway.key, id_claims()).decode())
        browser = await signed_in(gateway, session)
        assert (await browser.get("/")).status == 200
        await asyncio.sleep(session.expires - time.time() + 0.1)
        bearer = f"Authorization: Bearer {session.id_token}"
        assert (await browser.get("/")).status == 401
        for target in ("/", "/oauth2/credentials"):
            assert (await Browser(gateway.port).get(target, bearer)).status == 200


async def test_one_question_for_many_askers(tmp_path: Path) -> None:
    async with running(tmp_path, pool_lines=POOL_LINES) as gateway:
        identities = Identities(gateway)
        identities.wait = 0.2
        browser = await signed_in(gateway)
        asking = [asyncio.create_task(of(gateway, browser.copy())) for _ in range(10)]
        await until(lambda: identities.asked)
        asking.pop(0).cancel()  # the one that asked first leaves
        assert {reply.status for reply in await asyncio.gather(*asking)} == {200}
        assert len(identities.asked) == 1


async def test_renewed_shortly_before_they_end(tmp_path: Path) -> None:
    async with running(tmp_path, pool_lines=POOL_LINES) as gateway:
        identities = Identities(gateway, life=299)
        browser = await signed_in(gateway)
        given = [json.loads((await of(gateway, browser)).body) for _ in range(2)]
        assert [each["AccessKeyId"] for each in given] == ["ASIA1", "ASIA2"]
        identities.life = 330
        given = [json.loads((await of(gateway, browser)).body) for _ in range(2)]
        assert [each["AccessKeyId"] for each in given] == ["ASIA3", "ASIA3"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CognitoRefused("NotAuthorizedException", "no"), 403),
        (CognitoRefused("InvalidIdentityPoolConfigurationException", "no"), 403),
        (CognitoRefused("TooManyRequestsException", "later"), 503),
        (GatewayError("cannot reach Cognito"), 503),
    ],
)
async def test_refusals_are_not_kept(tmp_path: Path, error: Exception, status: int) -> None:
    async with running(tmp_path, pool_lines=POOL_LINES) as gateway:
        identities = Identities(gateway)
        identities.error = error
        browser = await signed_in(gateway)
        assert (await of(gateway, browser)).status == status
        identities.error = None
        assert (await of(gateway, browser)).status == 200


async def test_without_an_identity_pool_there_are_none(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        browser = await signed_in(gateway)
        assert (await of(gateway, browser)).status == 404


def test_their_repr_shows_no_secret() -> None:
    shown = repr(Credentials("id", "ASIA", "hunter2", "hunter3", 0.0))
    assert "hunter" not in shown


async def test_credentials_from_an_identity_pool_work_with_sts(tmp_path: Path) -> None:
    async with site(tmp_path, identity_pool=True) as place:
        browser = place.browser()
        await place.sign_in(browser)
        reply = await of(place.gateway, browser, origin=ORIGIN)
        assert reply.status == 200
        given = json.loads(reply.body)
        again = json.loads((await of(place.gateway, browser, origin=ORIGIN)).body)
        assert again == given
        assert await asyncio.to_thread(caller, place.local.url, given)


def caller(url: str, given: dict[str, str]) -> str:
    sts = boto3.client(
        "sts",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )
    return str(sts.get_caller_identity()["Arn"])


def with_two_roles(local: LocalCognito, pool_id: str, client_id: str) -> dict[str, str]:
    """alice in two of three groups with a role each; the identity pool takes the token's."""
    (identity_pool,) = local.state.identity_pools
    policy = json.dumps(trust_policy(identity_pool))
    arns = {}
    for name, precedence in (("writers", 1), ("readers", 2), ("others", 3)):
        request = {"RoleName": name, "AssumeRolePolicyDocument": policy}
        made = create_role(local.state, request, time.time()) or {}
        arns[name] = str(made["Role"]["Arn"])
        local.call(
            "CreateGroup", UserPoolId=pool_id, GroupName=name, RoleArn=arns[name], Precedence=precedence
        )
        if name != "others":
            local.call("AdminAddUserToGroup", UserPoolId=pool_id, Username="alice", GroupName=name)
    provider = f"cognito-idp.us-east-1.amazonaws.com/{pool_id}:{client_id}"
    mapping = {"Type": "Token", "AmbiguousRoleResolution": "Deny"}
    local.call(
        "SetIdentityPoolRoles",
        IdentityPoolId=identity_pool,
        Roles={},
        RoleMappings={provider: mapping},
    )
    return arns


@pytest.mark.parametrize("by", ["session", "id token"])
async def test_of_one_of_the_users_roles(tmp_path: Path, by: str) -> None:
    async with site(tmp_path, identity_pool=True) as place:
        roles = with_two_roles(place.local, place.pool_id, place.client_id)
        browser = place.browser()
        await place.sign_in(browser)
        portal = place.gateway.worker.app.portal
        assert portal is not None
        session = await portal.store.find(ticket_of(browser.jar), now=time.time())
        assert session is not None

        async def asked(role: str | None) -> Reply:
            query = "" if role is None else f"?role={quote(role, safe='')}"
            if by == "id token":
                bearer = f"Authorization: Bearer {session.id_token}"
                return await Browser(place.gateway.port).get(f"/oauth2/credentials{query}", bearer)
            token = await form_token(place.gateway, browser)
            return await browser.post(f"/oauth2/credentials{query}", f"csrf={token}", origin=ORIGIN)

        # Each twice: what is kept of one role is not given out for another.
        for role in (None, "readers", "writers") * 2:
            reply = await asked(None if role is None else roles[role])
            assert reply.status == 200, reply.body
            arn = await asyncio.to_thread(caller, place.local.url, json.loads(reply.body))
            assert f":assumed-role/{role or 'writers'}/" in arn
        # Not one of this user's, and none at all.
        for wrong in (roles["others"], "readers", "", f"{roles['readers']}\r\nX: y"):
            refused = await asked(wrong)
            assert refused.status == 403, (wrong, refused.body)
            assert b"AccessKeyId" not in refused.body
