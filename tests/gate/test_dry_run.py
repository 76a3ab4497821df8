"""What `explain` foresees for a request is what the gate would decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.model import Config
from gateway.gate.dry_run import Decision, decide_for
from gateway.tokens.explain import Explanation, explain
from gateway.tokens.jwk import KeySet, read_key_set
from tests.support.config_files import config as configured
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign

NOW = 1_795_428_958.25
TEXT = f"""\
cognito:
  user_pools:
    - id: {POOL_ID}
      client_ids: [{CLIENT_ID}]
      audiences: [https://api.example.com/mcp]
listen: {{public_url: https://api.example.com}}
mcp: {{resource: https://api.example.com/mcp}}
routes:
  - {{path: /open, auth: none}}
  - {{path: /admin/**, groups: [admins]}}
  - {{path: /mcp/**}}
"""


@pytest.fixture(scope="module")
def keypair() -> KeyPair:
    return KeyPair.generate("dry-run")


@pytest.fixture(scope="module")
def keys(keypair: KeyPair) -> KeySet:
    return read_key_set(key_set_document(keypair))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path, TEXT)


@pytest.fixture(scope="module")
def good(keypair: KeyPair) -> bytes:
    return sign(keypair, access_claims(now=NOW))


def foreseen(
    config: Config, keys: KeySet, token: bytes, target: str, *, now: float = NOW, sealed: bool = False
) -> Decision:
    explanation: Explanation = explain(token, config.cognito.user_pools, {POOL_ID: keys}, now=now, leeway=0.0)
    return decide_for(config, "GET", target, explanation, now, sealed=sealed)


@pytest.mark.parametrize(
    ("target", "allowed", "told"),
    [
        ("/open", True, "allowed (open_route)"),
        ("/orders?page=2", True, "allowed (valid_token)"),
        ("/admin/users", False, "refused with 403 (missing_group)"),
        ("/a/../b", False, "refused with 400"),
        ("/oauth2/userinfo", False, "never proxied"),
    ],
)
def test_a_good_token(
    config: Config, keys: KeySet, good: bytes, target: str, allowed: bool, told: str
) -> None:
    found = foreseen(config, keys, good, target)
    assert (found.allowed, found.request) == (allowed, f"GET {target}")
    assert found.told.startswith(told)


def test_an_expired_token_is_refused_but_on_open_routes(config: Config, keys: KeySet, good: bytes) -> None:
    later = NOW + 86_400
    assert foreseen(config, keys, good, "/open", now=later).allowed
    refused = foreseen(config, keys, good, "/orders", now=later)
    assert not refused.allowed
    assert refused.told.startswith("refused with 401 (token_expired)")


def test_a_sealed_token_is_good_for_its_resource_alone(config: Config, keys: KeySet, good: bytes) -> None:
    assert foreseen(config, keys, good, "/mcp/tools", sealed=True).allowed
    refused = foreseen(config, keys, good, "/orders", sealed=True)
    assert refused.told == "refused with 401 (wrong_audience): the path is outside mcp.resource"
