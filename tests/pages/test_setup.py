"""The set-up form: who may use it, what it checks, what becomes of its answer."""

from __future__ import annotations

import asyncio
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.aws.values import CognitoRefused
from gateway.config.load import examine
from gateway.config.stored import connection_text, store, stored_file
from gateway.errors import GatewayError
from gateway.pages import setup_form
from gateway.pages.attempts import PERSON, SETUP_BY_ADDRESS
from gateway.pages.once import Once
from gateway.pages.setup_code import SetupCode, matches
from gateway.pages.setup_form import verdict_of
from gateway.serve.reload import Reloader, files_of
from tests.support.site import (
    ALICE,
    CLIENT,
    HTML,
    PASSWORD,
    POOL,
    Browser,
    Site,
    add_app,
    app_code,
    second_factors,
    seed,
    site,
)
from tests.support.wire import get, once

GOOD: dict[str, Any] = {
    "region": "us-east-1",
    "user_pool_id": POOL,
    "client_id": CLIENT,
    "identity_pool_id": "",
}


async def code_of(at: Site, count: int = 1) -> str:
    """The newest of so many."""
    lines = await at.logged("setup_code", count)
    assert len(lines) == count
    assert lines[-1]["page"] == "/oauth2/setup"
    return str(lines[-1]["setup_code"])


async def form_of(at: Site) -> Browser:
    browser = at.browser()
    reply = await browser.open("/oauth2/")
    assert reply.status == 200
    assert "Not connected" in browser.text
    assert 'href="/oauth2/setup"' in browser.text
    assert (await browser.open("/oauth2/setup")).status == 200
    return browser


async def test_api_requests_are_pointed_to_the_page(tmp_path: Path) -> None:
    async with site(tmp_path, pools=False) as at:
        reply = await once(at.worker.port, get("/api/v1/things"))
        assert reply.status == 503
        problem = json.loads(reply.body)
        assert "/oauth2/" in problem["detail"]
        assert reply.get("link") == '<http://api.test/oauth2/>; rel="help"'
        # A browser is redirected there.
        seen = await once(at.worker.port, get("/app", HTML))
        assert (seen.status, seen.get("location")) == (302, "/oauth2/")


async def test_no_user_is_known_before_setup(tmp_path: Path) -> None:
    async with site(tmp_path, pools=False) as at:
        for target in ("/oauth2/userinfo", "/oauth2/credentials", "/oauth2/auth"):
            for lines in ([], ["Authorization: Bearer a.b.c"]):
                reply = await once(at.worker.port, get(target, *lines))
                assert (reply.status, reply.get("www-authenticate")) == (503, None)
                assert reply.get("link") == '<http://api.test/oauth2/>; rel="help"'


async def test_without_a_state_directory_the_page_shows_the_yaml(tmp_path: Path) -> None:
    async with site(tmp_path, pools=False) as at:
        browser = await form_of(at)
        await browser.submit(**GOOD, setup_code=await code_of(at))
        assert "The IDs work" in browser.text
        text = browser.text.partition('spellcheck="false">')[2].partition("</textarea>")[0]
        path = tmp_path / "copied.yaml"
        path.write_text(text)
        config, _ = examine(path, {})
        assert config is not None
        assert [pool.id for pool in config.cognito.user_pools] == [POOL]


async def test_the_answer_is_stored_served_and_closed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    async with site(tmp_path, pools=False, sign_in="state_dir: state, admin_groups: [admins]") as at:
        reloader = Reloader(at.source, at.worker)
        reloader.start()
        browser = await form_of(at)
        # Case and blanks aside: it is read off another screen.
        code = (await code_of(at)).lower().replace("-", " ")
        await browser.submit(**GOOD, setup_code=code)
        assert "Connecting" in browser.text
        async with asyncio.timeout(30):
            while not at.worker.config.cognito.user_pools or at.worker.app.unready():
                await asyncio.sleep(0.02)
        await browser.open("/oauth2/setup?saved=5")
        assert "The gateway is connected to your user pool" in browser.text
        assert stat.S_IMODE(stored_file(tmp_path / "state").stat().st_mode) == 0o600
        await browser.submit(username=ALICE, password=PASSWORD)
        assert "Alice Example" in browser.text
        # Closed for all but admins.
        assert (await at.browser().open("/oauth2/setup")).status == 404
        await browser.open("/oauth2/setup")
        assert "Change the connection" in browser.text
        assert f'value="{POOL}"' in browser.text
        await browser.submit(**{**GOOD, "client_id": "unknown"}, password=PASSWORD)
        assert "No app client with this ID exists" in browser.text
        await reloader.stop()
    (tmp_path / "state" / "connection.yaml").unlink()


async def test_only_the_admin_may_change_it(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    store(tmp_path / "state", connection_text(setup_form.PoolConnection(**GOOD).as_pool))
    # alice is an editor, but editors are not named.
    async with site(tmp_path, pools=False, sign_in="state_dir: state, admin_groups: [others]") as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        _, fields = browser.form()
        assert (await browser.open("/oauth2/setup")).status == 404
        assert "Connection" not in browser.text
        reply = await browser.post("/oauth2/setup", {"csrf": fields["csrf"], **GOOD, "setup_code": "x"})
        assert reply.status == 404
        # Nor to the code, which was good until somebody had signed in.
        reply = await at.browser().open("/oauth2/setup")
        assert reply.status == 404


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"region": "nowhere"}, "region", "Enter the region"),
        ({"region": "eu-west-1"}, "region", "The user pool is in us-east-1"),
        ({"region": "127.0.0.1:9"}, "region", "Enter the region"),
        ({"user_pool_id": "../../x"}, "user_pool_id", "a user pool ID, such as"),
        ({"user_pool_id": "us-east-1_Unknown00"}, "user_pool_id", "No user pool with this ID exists"),
        ({"client_id": "unknown"}, "client_id", "No app client with this ID exists"),
        ({"client_id": ""}, "client_id", "Enter the app client ID"),
        ({"user_pool_id": ""}, "user_pool_id", "Enter the user pool ID"),
        ({"client_id": "otherclient"}, "client_id", "belongs to another user pool"),
        (
            {"identity_pool_id": f"us-east-1:{'0' * 8}-0000-4000-8000-{'0' * 12}"},
            "identity_pool_id",
            "No identity pool with this ID exists",
        ),
        ({"client_id": "secretclient"}, "client_id", "has a secret"),
        ({"client_id": "srponly"}, "client_id", "does not allow USER_PASSWORD_AUTH"),
        ({"identity_pool_id": "nonsense"}, "identity_pool_id", "an identity pool ID, such as"),
    ],
)
async def test_each_field_has_its_sentence(
    tmp_path: Path, change: dict[str, str], field: str, sentence: str
) -> None:
    document = seed()
    clients = document["UserPools"][0]["Clients"]
    clients.append({**clients[0], "ClientId": "secretclient", "ClientSecret": "s" * 24})
    clients.append({**clients[0], "ClientId": "srponly", "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH"]})
    other = {**document["UserPools"][0], "Id": "us-east-1_Other12345", "Users": [], "Groups": []}
    document["UserPools"].append({**other, "Clients": [{**clients[0], "ClientId": "otherclient"}]})
    async with site(tmp_path, seeded=document, pools=False) as at:
        browser = await form_of(at)
        reply = await browser.submit(**{**GOOD, **change}, setup_code=await code_of(at))
        assert reply.status == 400
        wrong = browser.text.partition(f'id="{field}-error">')[2].partition("</p>")[0]
        assert sentence in wrong
        # The cursor is where there is something to mend.
        (focused,) = re.findall(r'<input id="(\w+)"[^>]* autofocus', browser.text)
        assert focused == field


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("NotAuthorizedException", "Incorrect username or password.", None),
        ("UserNotFoundException", "User does not exist.", None),
        # A Lambda that keeps strangers out is asked for clients that there are only.
        ("UserLambdaValidationException", "PreAuthentication failed with error Who are you?.", None),
        (
            "NotAuthorizedException",
            "Unable to verify secret hash: SECRET_HASH was not received",
            "has a secret",
        ),
        (
            "InvalidParameterException",
            "USER_PASSWORD_AUTH flow not enabled for this client",
            "does not allow",
        ),
        (
            "ResourceNotFoundException",
            "User pool client c does not exist.",
            "No app client with this ID exists",
        ),
        ("TooManyRequestsException", "Rate exceeded", "Try again in a minute"),
        ("InternalErrorException", "", "Try again in a minute"),
        ("ForbiddenException", "", "does not accept this app client (ForbiddenException)"),
    ],
)
def test_the_refusal_of_an_unknown_user_describes_the_client(
    code: str, message: str, told: str | None
) -> None:
    verdict = verdict_of(CognitoRefused(code, "refused", message), "USER_PASSWORD_AUTH")
    assert verdict is None if told is None else told in str(verdict)


async def test_without_the_code_nothing_is_asked_of_anybody(tmp_path: Path) -> None:
    async with site(tmp_path, pools=False) as at:
        browser = await form_of(at)
        for _ in range(SETUP_BY_ADDRESS.most):
            reply = await browser.submit(**{**GOOD, "client_id": "unknown"}, setup_code="AAAA-AAAA-AAAA-AAAA")
            assert reply.status == 400
            assert "the current setup code" in browser.text
            assert "app client." not in browser.text
        reply = await browser.submit(**GOOD, setup_code="AAAA-AAAA-AAAA-AAAA")
        assert reply.status == 429
        # Somebody else's five keep nobody from using the right one.
        reply = await browser.submit(**GOOD, setup_code=await code_of(at))
        assert "The IDs work" in browser.text
        assert len(await at.logged("setup", SETUP_BY_ADDRESS.most + 1)) == SETUP_BY_ADDRESS.most + 1


async def test_a_code_works_once_and_the_next_one_is_in_the_log(tmp_path: Path) -> None:
    async with site(tmp_path, pools=False) as at:
        browser = await form_of(at)
        first = await code_of(at)
        # A mistyped value costs no code.
        await browser.submit(**{**GOOD, "client_id": "unknown"}, setup_code=first)
        assert "No app client with this ID exists" in browser.text
        await browser.submit(**GOOD, setup_code=first)
        assert "The IDs work" in browser.text
        await form_of(at)
        again = await form_of(at)
        await again.submit(**GOOD, setup_code=first)
        assert "the current setup code" in again.text
        await again.submit(**GOOD, setup_code=await code_of(at, 2))
        assert "The IDs work" in again.text


async def test_a_deleted_state_file_brings_no_old_code_back(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    async with site(tmp_path, pools=False, sign_in="state_dir: state") as at:
        browser = await form_of(at)
        first = await code_of(at)
        other = await form_of(at)
        replies = await asyncio.gather(
            browser.submit(**GOOD, setup_code=first), other.submit(**GOOD, setup_code=first)
        )
        assert sorted(reply.status for reply in replies) == [200, 400], "one of two at once"
        stored_file(tmp_path / "state").unlink()
        late = await form_of(at)
        await late.submit(**GOOD, setup_code=first)
        assert "the current setup code" in late.text
        assert not stored_file(tmp_path / "state").exists()
        await late.submit(**GOOD, setup_code=await code_of(at, 2))
        assert stored_file(tmp_path / "state").exists()
        assert [line["result"] for line in await at.logged("setup", 4)].count("connected") == 2


@pytest.mark.parametrize("gone", ["group", "disabled"])
async def test_an_admin_no_more_changes_nothing(tmp_path: Path, gone: str) -> None:
    (tmp_path / "state").mkdir()
    text = connection_text(setup_form.PoolConnection(**GOOD).as_pool)
    store(tmp_path / "state", text)
    document = seed()
    clients = document["UserPools"][0]["Clients"]
    clients.append({**clients[0], "ClientId": "another"})
    lines = "state_dir: state, admin_groups: [admins]"
    async with site(tmp_path, seeded=document, pools=False, sign_in=lines) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        await browser.open("/oauth2/setup")
        assert "Change the connection" in browser.text
        if gone == "group":
            at.local.call("AdminRemoveUserFromGroup", UserPoolId=POOL, Username=ALICE, GroupName="admins")
        else:
            at.local.call("AdminDisableUser", UserPoolId=POOL, Username=ALICE)
        reply = await browser.submit(**{**GOOD, "client_id": "another"}, password=PASSWORD)
        # Cognito takes no password of somebody who is disabled.
        assert reply.status == (404 if gone == "group" else 400)
        assert stored_file(tmp_path / "state").read_text().endswith(text)
        (line,) = await at.logged("setup")
        (user,) = at.local.state.pools[POOL].users.values()
        assert (line["result"], line["subject"]) == ("refused", user.sub)


async def test_a_session_without_its_password_changes_nothing(tmp_path: Path) -> None:
    """As a script on the API's pages has one, or somebody at an unlocked screen."""
    (tmp_path / "state").mkdir()
    text = connection_text(setup_form.PoolConnection(**GOOD).as_pool)
    store(tmp_path / "state", text)
    lines = "state_dir: state, admin_groups: [admins]"
    async with site(tmp_path, pools=False, sign_in=lines) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        await browser.open("/oauth2/setup")
        for password, told in (("", "Enter your password"), ("Wrong-Horse-1", "Incorrect password")):
            reply = await browser.submit(**GOOD, password=password)
            assert reply.status == 400
            assert told in browser.text.partition('id="password-error">')[2].partition("</p>")[0]
            assert "Wrong-Horse-1" not in browser.text
        # Guesses at it are those at the sign-in form.
        for _ in range(PERSON.most - 1):
            reply = await browser.submit(**GOOD, password="Wrong-Horse-1")
        assert (await browser.submit(**GOOD, password="Wrong-Horse-1")).status == 429
        assert stored_file(tmp_path / "state").read_text().endswith(text)


async def test_an_admin_with_a_second_factor_enters_only_the_password(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    store(tmp_path / "state", connection_text(setup_form.PoolConnection(**GOOD).as_pool))
    lines = "state_dir: state, admin_groups: [admins]"
    async with site(tmp_path, pools=False, sign_in=lines) as at:
        second_factors(at)
        secret = add_app(at)
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        await browser.submit(code=app_code(secret))
        await browser.open("/oauth2/setup")
        await browser.submit(**GOOD, password=PASSWORD)
        (line,) = await at.logged("setup")
        assert line["result"] == "connected"


async def test_an_admins_change_is_logged_with_the_admin(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    store(tmp_path / "state", connection_text(setup_form.PoolConnection(**GOOD).as_pool))
    document = seed()
    clients = document["UserPools"][0]["Clients"]
    clients.append({**clients[0], "ClientId": "another"})
    lines = "state_dir: state, admin_groups: [admins]"
    async with site(tmp_path, seeded=document, pools=False, sign_in=lines) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        await browser.open("/oauth2/setup")
        grants = len(at.local.state.pools[POOL].refresh_tokens)
        await browser.submit(**{**GOOD, "client_id": "another"}, password=PASSWORD)
        assert sum(not each.revoked for each in at.local.state.pools[POOL].refresh_tokens.values()) == grants
        assert "client_ids:\n    - another" in stored_file(tmp_path / "state").read_text()
        (line,) = await at.logged("setup")
        (user,) = at.local.state.pools[POOL].users.values()
        assert (line["result"], line["subject"]) == ("connected", user.sub)
        # The tokens were renewed for it, and the session goes on with the new ones.
        await browser.open("/oauth2/")
        assert "Alice Example" in browser.text


def test_the_code_is_of_one_start() -> None:
    once = Once.make()
    code = SetupCode(b"1" * 32, once)
    one, other = code.text(), SetupCode(b"2" * 32, once).text()
    assert one != other
    assert code.use(0)
    assert code.text() not in {one, other}
    assert not code.use(0)
    assert one not in repr(code)
    assert len(one.replace("-", "")) == 16
    assert matches(f" {one.lower()} ", one)
    assert not matches(other, one)
    assert not matches("", one)
    assert not matches("é" * 16, one)


# --- the file ----------------------------------------------------------------------------------------------


def write(folder: Path, stored: str | None, pools: str = "[]") -> Path:
    (folder / "state").mkdir(exist_ok=True)
    if stored is not None:
        stored_file(folder / "state").write_text(stored)
    path = folder / "gateway.yaml"
    path.write_text(f"cognito: {{user_pools: {pools}}}\nsign_in: {{state_dir: state}}\n")
    return path


def test_the_stored_pool_is_used(tmp_path: Path) -> None:
    path = write(tmp_path, connection_text({"id": POOL, "client_ids": ["c"], "identity_pool_id": ""}))
    config, report = examine(path, {})
    assert config is not None, report.lines
    assert config.cognito.stored
    assert config.cognito.user_pools[0].client_ids == ("c",)
    assert stored_file(tmp_path / "state") in files_of(config)


def test_pools_in_the_file_override_the_stored_one_with_a_warning(tmp_path: Path) -> None:
    path = write(
        tmp_path, connection_text({"id": POOL, "client_ids": ["c"]}), f"[{{id: {POOL}, client_ids: [d]}}]"
    )
    config, report = examine(path, {})
    assert config is not None
    assert config.cognito.user_pools[0].client_ids == ("d",)
    assert not config.cognito.stored
    assert "is not used: this file names user pools itself" in "\n".join(report.warnings)


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        (
            "cognito: {user_pools: [{id: nonsense, client_ids: [c]}]}\n",
            "connection.yaml:1: cognito.user_pools[0].id",
        ),
        (
            "cognito: {user_pools: []}\nupstream: {url: http://10.0.0.1}\n",
            "only cognito.user_pools is allowed",
        ),
        ("cognito: {endpoint_url: http://127.0.0.1:1}\n", "only cognito.user_pools is allowed"),
        ("cognito: {user_pools: [{id: '${HOME}', client_ids: [c]}]}\n", "connection.yaml:1"),
        ("{", "connection.yaml"),
    ],
)
def test_a_broken_one_is_a_mistake_with_its_line(tmp_path: Path, stored: str, sentence: str) -> None:
    config, report = examine(write(tmp_path, stored), {"HOME": POOL})
    assert config is None
    assert sentence in "\n".join(report.lines)


@pytest.mark.parametrize("open_to_all", ["folder", "file"])
def test_a_folder_that_everybody_may_write_to_is_named(tmp_path: Path, open_to_all: str) -> None:
    path = write(tmp_path, connection_text({"id": POOL, "client_ids": ["1abcdefghijklmnopqrstuvwxy"]}))
    folder = tmp_path / "state"
    stored_file(folder).chmod(0o600)
    _, report = examine(path, {})
    assert not report.warnings
    (folder if open_to_all == "folder" else stored_file(folder)).chmod(0o777)
    config, report = examine(path, {})
    assert config is not None
    (warning,) = report.warnings
    assert "is writable by everyone (mode 0777)" in warning
    assert "chmod o-w" in warning


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    store(tmp_path, "cognito: {}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["connection.yaml"]
    with pytest.raises(GatewayError, match=r"sign_in\.state_dir"):
        store(tmp_path / "missing", "cognito: {}\n")
