"""The authorization endpoint and the hosted page, as a browser meets them."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from local_cognito import totp
from tests.support.emulator_login import CALLBACK, PASSWORD, Login


def sent_back(location: str) -> dict[str, str]:
    assert location.partition("?")[0] == CALLBACK
    return dict(parse_qsl(urlsplit(location).query))


async def test_a_browser_signs_in_once_and_needs_no_password_again(login: Login) -> None:
    status, _, headers = await login.sign_in()
    assert status == 302
    first = sent_back(headers["Location"])
    assert first["state"] == "s t&te"
    status, _, headers = await login.authorize()
    second = sent_back(headers["Location"])
    assert second["code"] != first["code"]
    assert (await login.authorize(prompt="login"))[2]["Location"].startswith("/login?")
    login.clock.forward(3600)
    assert (await login.authorize())[2]["Location"].startswith("/login?"), "the cookie lives an hour"
    _, _, headers = await login.authorize(prompt="none")
    assert sent_back(headers["Location"])["error"] == "login_required"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"client_id": None}, "client_id"),
        ({"client_id": "nobody"}, "client_id"),
        ({"redirect_uri": None}, "redirect_uri"),
        ({"redirect_uri": CALLBACK + "/"}, "redirect_mismatch"),
        ({"redirect_uri": CALLBACK + "?x=1"}, "redirect_mismatch"),
        ({"redirect_uri": "http://evil.example/"}, "redirect_mismatch"),
    ],
)
async def test_without_a_valid_redirect_uri_the_page_shows_the_error(
    login: Login, changes: dict[str, str | None], word: str
) -> None:
    for path in ("/oauth2/authorize", "/login"):
        status, text, headers = await login.get(path, login.query(**changes))
        assert (status, "Location" in headers) == (400, False)
        assert word in text
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "id_token"}, "invalid_request"),
        ({"response_type": "token"}, "unauthorized_client"),
        ({"scope": "openid nonsense"}, "invalid_scope"),
        ({"scope": "email"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
    ],
)
async def test_the_client_hears_of_other_mistakes(
    login: Login, changes: dict[str, str | None], error: str
) -> None:
    status, _, headers = await login.authorize(**changes)
    back = sent_back(headers["Location"])
    assert (status, back["error"], back["state"]) == (302, error, "s t&te")


async def test_a_parameter_given_twice_is_refused(login: Login) -> None:
    query = urlencode(login.query()) + "&state=other"
    assert (await login.get("/oauth2/authorize", query))[0] == 400


async def test_a_pool_without_domain_has_no_managed_login(login: Login) -> None:
    login.local.call("DeleteUserPoolDomain", UserPoolId=login.pool_id, Domain="web")
    status, text, _ = await login.authorize()
    assert (status, "CreateUserPoolDomain" in text) == (400, True)


async def test_a_client_without_managed_login_is_refused(login: Login) -> None:
    plain, _ = login.client(AllowedOAuthFlowsUserPoolClient=False)
    status, text, _ = await login.authorize(client_id=plain)
    assert (status, "unauthorized_client" in text) == (400, True)


async def test_wrong_passwords_get_the_same_answer_and_lock(login: Login) -> None:
    for name in ("alice", "nobody"):
        for _ in range(5):
            status, page, headers = await login.sign_in(name, "Wrong-Password-1")
            assert (status, "Location" in headers) == (400, False)
            assert "Incorrect username or password." in page
            assert f'value="{name}"' in page
        assert "Password attempts exceeded" in (await login.sign_in(name))[1]


async def test_input_is_shown_as_text(login: Login) -> None:
    _, page, _ = await login.sign_in('"><script>alert(1)</script>', "x")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


async def test_the_form_needs_its_own_browser(login: Login) -> None:
    _, page, _ = await login.get("/login", login.query())
    status, page, _ = await login.submit(page, username="alice", password=PASSWORD, csrf="forged")
    assert status == 400
    assert "The form has expired" in page
    login.http.cookie_jar.clear()
    status, _, _ = await login.submit(page, username="alice", password=PASSWORD)
    assert status == 400
    assert login.local.state.pools[login.pool_id].browsers == {}


async def test_signing_in_here_leaves_no_tokens_lying_about(login: Login) -> None:
    await login.code()
    assert login.local.state.pools[login.pool_id].grants == {}


async def test_a_disabled_users_browser_is_not_signed_in(login: Login) -> None:
    await login.code()
    login.local.call("AdminDisableUser", UserPoolId=login.pool_id, Username="alice")
    assert (await login.authorize())[2]["Location"].startswith("/login?")


async def test_a_temporary_password_is_replaced_on_the_page(login: Login) -> None:
    where = {"UserPoolId": login.pool_id, "Username": "bob"}
    login.local.call("AdminCreateUser", **where, TemporaryPassword="Temporary-1")
    status, page, _ = await login.sign_in("bob", "Temporary-1")
    assert (status, "New password" in page) == (200, True)
    status, page, _ = await login.submit(page, NEW_PASSWORD="short")
    assert (status, "Password not long enough" in page) == (400, True)
    status, _, headers = await login.submit(page, NEW_PASSWORD="Another-Horse-2")
    assert (status, "code" in sent_back(headers["Location"])) == (302, True)
    assert login.local.call("AdminGetUser", **where)["UserStatus"] == "CONFIRMED"


async def test_a_second_factor_is_asked_for_on_the_page(login: Login) -> None:
    token = {"SoftwareTokenMfaConfiguration": {"Enabled": True}, "MfaConfiguration": "OPTIONAL"}
    login.local.call("SetUserPoolMfaConfig", UserPoolId=login.pool_id, **token)
    secret = totp.new_secret()
    user = login.local.state.pools[login.pool_id].users["alice"]
    user.totp_secret, user.mfa = secret, {"SOFTWARE_TOKEN_MFA"}
    status, page, headers = await login.sign_in()
    assert (status, "Location" in headers) == (200, False)
    status, page, _ = await login.submit(page, SOFTWARE_TOKEN_MFA_CODE="0000000")
    assert (status, "Invalid code" in page) == (400, True)
    code = totp.code_at(secret, int(login.clock.now) // 30)
    status, _, headers = await login.submit(page, SOFTWARE_TOKEN_MFA_CODE=code)
    assert "code" in sent_back(headers["Location"])


async def test_signing_out_ends_the_browser_session_and_goes_where_it_may(login: Login) -> None:
    await login.code()
    registered = "http://127.0.0.1:8000/oauth2/"
    for uri in ("http://evil.example/", registered + "x", registered[:-1]):
        status, _, headers = await login.get("/logout", {"client_id": login.client_id, "logout_uri": uri})
        assert (status, "Location" in headers) == (400, False)
    assert (await login.get("/logout", {"logout_uri": registered}))[0] == 400
    assert (await login.get("/logout", {"client_id": login.client_id}))[0] == 400
    assert "code" in sent_back((await login.authorize())[2]["Location"]), "still signed in"
    query = {"client_id": login.client_id, "logout_uri": registered}
    status, _, headers = await login.get("/logout", query)
    assert (status, headers["Location"]) == (302, registered)
    assert (await login.authorize())[2]["Location"].startswith("/login?")


async def test_signing_out_may_redirect_to_the_next_sign_in(login: Login) -> None:
    await login.code()
    status, _, headers = await login.get("/logout", login.query())
    assert status == 302
    _, page, _ = await login.get(headers["Location"])
    assert re.search(r'type="password"', page)
    assert (await login.get("/logout", login.query(redirect_uri="http://evil.example/")))[0] == 400
