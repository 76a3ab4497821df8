"""Tokens bound to a resource, on the wire: clients that nobody listed, and the word that refusals have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import SCRIPT, run, serving
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign
from tests.support.wire import Upstream

API = "https://api.example.com/mcp"
REGISTERED = "7registered8at9run0time"


def pools(folder: Path, keypair: KeyPair, more: str) -> str:
    (folder / "jwks.json").write_bytes(key_set_document(keypair))
    return f"  user_pools: [{{id: {POOL_ID}, jwks_file: jwks.json, audiences: ['{API}'], {more}}}]"


@pytest.mark.parametrize("listed", ["", f"client_ids: [{CLIENT_ID}], "])
async def test_clients_that_are_bound(tmp_path: Path, listed: str) -> None:
    keypair = KeyPair.generate("access")
    configured = pools(tmp_path, keypair, f"{listed}clients: bound")
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=configured) as served,
    ):
        accepted = sign(keypair, access_claims(client_id=REGISTERED, aud=[API]))
        assert (await served.bearer(accepted)).status == 200
        refused: dict[str, dict[str, Any]] = {"wrong_client": {}, "wrong_audience": {"aud": REGISTERED}}
        for changes in refused.values():
            reply = await served.bearer(sign(keypair, access_claims(client_id=REGISTERED, **changes)))
            assert reply.status == 401
            assert 'error="invalid_token"' in reply.all("WWW-Authenticate")[0]

        failures = await served.logged("auth_failure", len(refused))
        assert [line["reason"] for line in failures] == list(refused)
        page = await served.ask("/oauth2/sign_in", "Accept: text/html", "Sec-Fetch-Mode: navigate")
        assert page.status == (200 if listed else 404)
        assert len(upstream.requests) == 1


def test_explain_names_the_audience(tmp_path: Path) -> None:
    keypair = KeyPair.generate("access")
    path = tmp_path / "gateway.yaml"
    path.write_text("cognito:\n" + pools(tmp_path, keypair, f"client_ids: [{CLIENT_ID}]") + "\n")
    token = sign(keypair, access_claims(aud="https://other.example.com")).decode()
    done = run(SCRIPT, "explain", "--config", path, "-", stdin=token)
    assert done.returncode == 1
    assert "✗ audience" in done.stdout
    assert "https://other.example.com" in done.stdout
    assert API in done.stdout
    assert "(wrong_audience)" in done.stdout
    done = run(SCRIPT, "explain", "--config", path, "-", stdin=sign(keypair, access_claims(aud=API)).decode())
    assert done.returncode == 0, done.stdout


def test_what_cannot_be_bound_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(f"cognito:\n  user_pools:\n    - id: {POOL_ID}\n      clients: bound\n")
    done = run(SCRIPT, "check-config", path)
    assert done.returncode == 1
    assert done.stderr == (
        f"{path}:4: cognito.user_pools[0].clients: needs audiences: "
        "otherwise no access token can be bound to this gateway\n"
    )
    path.write_text(f"cognito:\n  user_pools:\n    - id: {POOL_ID}\n      audiences: ['{API}']\n")
    done = run(SCRIPT, "check-config", path)
    assert done.returncode == 1
    assert "cognito.user_pools[0].client_ids: missing: this key is required" in done.stderr
