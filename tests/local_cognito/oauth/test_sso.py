"""Managed login's browser sessions in a pool that tracks sessions."""

from __future__ import annotations

from typing import Any

from tests.support.emulator_login import Login


def track(login: Login) -> None:
    login.local.call(
        "SetUserPoolSessionConfiguration",
        UserPoolId=login.pool_id,
        UserSessionTracking="ENABLED",
        TokenSession={"MaxPerUser": 20},
    )


def sessions(login: Login) -> dict[str, list[dict[str, Any]]]:
    request = {"UserPoolId": login.pool_id, "Username": "alice"}
    found = login.local.call("AdminListUserSessions", **request)["Sessions"]
    return {kind: [one for one in found if one["SessionType"] == kind] for kind in ("SSO", "TOKEN")}


async def signed_in(login: Login) -> dict[str, Any]:
    status, tokens = await login.token(login.exchange(await login.code()))
    assert status == 200
    return dict(tokens)


async def reuses_the_cookie(login: Login, **changes: str) -> bool:
    return not (await login.authorize(**changes))[2]["Location"].startswith("/login?")


async def test_revoking_a_browsers_session_may_revoke_what_came_through_it(login: Login) -> None:
    track(login)
    tokens = await signed_in(login)
    found = sessions(login)
    assert [one["OriginSessionId"] for one in found["TOKEN"]] == [found["SSO"][0]["SessionId"]]
    assert await reuses_the_cookie(login)
    request = {"UserPoolId": login.pool_id, "Username": "alice", "SessionId": found["SSO"][0]["SessionId"]}
    login.local.call("AdminRevokeUserSession", **request)
    assert not await reuses_the_cookie(login)
    assert (len(sessions(login)["SSO"]), len(sessions(login)["TOKEN"])) == (0, 1)
    login.local.call("AdminRevokeUserSession", **request | {"SessionId": found["TOKEN"][0]["SessionId"]})
    again = await signed_in(login)
    found = sessions(login)
    linked = {"RevokeAssociatedSessions": "LINKED", "SessionId": found["SSO"][0]["SessionId"]}
    login.local.call("AdminRevokeUserSession", **request | linked)
    assert sessions(login) == {"SSO": [], "TOKEN": []}
    for each in (tokens, again):
        form = {"grant_type": "refresh_token", "client_id": login.client_id}
        status, _ = await login.token(form | {"refresh_token": each["refresh_token"]})
        assert status == 400


async def test_revoking_a_token_with_its_links_ends_the_browsers_session(login: Login) -> None:
    track(login)
    tokens = await signed_in(login)
    request = {"ClientId": login.client_id, "Token": tokens["refresh_token"]}
    login.local.call("RevokeToken", **request, RevokeAssociatedSessions="LINKED")
    assert sessions(login) == {"SSO": [], "TOKEN": []}
    assert not await reuses_the_cookie(login)


async def test_each_client_decides_how_long_it_reuses_the_browsers_session(login: Login) -> None:
    track(login)
    other, _ = login.client()
    for client_id, minutes in ((login.client_id, 0), (other, 120)):
        login.local.call(
            "SetUserPoolClientSessionConfiguration",
            UserPoolId=login.pool_id,
            ClientId=client_id,
            SSOSession={"MaxValidityMinutes": minutes},
        )
    await signed_in(login)
    assert not await reuses_the_cookie(login)
    login.clock.forward(7199)
    assert await reuses_the_cookie(login, client_id=other)
    login.clock.forward(1)
    assert not await reuses_the_cookie(login, client_id=other)
