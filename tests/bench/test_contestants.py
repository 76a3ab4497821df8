"""The configurations are rendered purely, and the installed peers hold what the harness promises of them."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import upstream
from bench.contestants import CONTESTANTS, Gateway, Setup
from bench.keyserver import KeyServer
from bench.processes import BenchError, free_port
from bench.tokens import CLIENT_ID, ISSUER, POOL_ID, Mint

CPUS = frozenset({0})


@pytest.fixture
def setup(tmp_path: Path) -> Any:
    return Setup(
        directory=tmp_path / "contestant",
        port=18001,
        probe_port=18002,
        upstream_port=18003,
        jwks_url="http://127.0.0.1:18004/keys",
        public_key_file=tmp_path / "public.pem",
    )


@pytest.fixture(scope="module")
def mint() -> Any:
    return Mint()


@pytest.mark.parametrize("kind", CONTESTANTS, ids=lambda kind: kind.name)
def test_every_configuration_stays_on_loopback_and_inside_its_directory(kind: Any, setup: Any) -> None:
    for rendered in kind(setup).render().values():
        # Envoy's JSON has the port in another member.
        text = re.sub(r'"address": "(.+?)",\s*"port_value": (\d+)', r'"\1:\2"', rendered)
        addresses = re.findall(r"[\d.]+:18\d\d\d|localhost|\[::\]|0\.0\.0\.0|\*:\d+", text)
        assert addresses
        assert all(address.startswith("127.0.0.1:") for address in addresses)
        paths = {Path(path) for path in re.findall(r"(?<![\w:/.])/(?:tmp|var|run|root|home)[^\s;\"']*", text)}
        inside = (setup.directory, setup.public_key_file)
        assert all(any(path.is_relative_to(root) for root in inside) for path in paths), paths


@pytest.mark.parametrize(
    "kind", [kind for kind in CONTESTANTS if kind.authenticates], ids=lambda kind: kind.name
)
def test_every_authenticating_configuration_names_issuer_and_client(kind: Any, setup: Any) -> None:
    text = "".join(kind(setup).render().values())
    assert ISSUER in text
    assert CLIENT_ID in text


def test_the_gateways_configuration_changes_only_what_the_comparison_needs(setup: Any) -> None:
    config = yaml.safe_load(Gateway(setup).render()["gateway.yaml"])
    assert config == {
        "listen": {"address": "127.0.0.1:18001", "workers": 1},
        "upstream": {"url": "http://127.0.0.1:18003"},
        "cognito": {
            "user_pools": [
                {
                    "id": POOL_ID,
                    "client_ids": [CLIENT_ID],
                    "token_use": ["access"],
                    "issuers": [ISSUER],
                    "jwks_url": "http://127.0.0.1:18004/keys",
                }
            ]
        },
        "metrics": {"address": "127.0.0.1:18002"},
        "log": {"access": False, "level": "warning"},
    }


@pytest.mark.engine
@pytest.mark.parametrize(
    "kind", [kind for kind in CONTESTANTS if kind is not Gateway], ids=lambda kind: kind.name
)
def test_an_installed_peer_passes_its_check_and_ends_when_stopped(
    kind: Any, mint: Any, tmp_path: Path
) -> None:
    if kind.missing():
        pytest.skip(kind.missing())
    with ExitStack() as stack:
        public_key = tmp_path / "public.pem"
        public_key.write_bytes(mint.public_pem())
        contestant = kind(
            Setup(
                directory=tmp_path / kind.name,
                port=free_port(),
                probe_port=free_port(),
                upstream_port=upstream.start(stack, tmp_path / "upstream", CPUS),
                jwks_url=stack.enter_context(KeyServer(mint.key_set())).url,
                public_key_file=public_key,
            )
        )
        stack.callback(contestant.stop)
        contestant.start(CPUS)
        contestant.wait_ready(mint.valid())
        assert contestant.check(mint) == []
        contestant.stop()
        assert contestant.check(mint)[0].startswith("no answer")
        with pytest.raises(BenchError, match="not running"):
            _ = contestant.pid


def test_tokens_weigh_what_they_say_and_hostile_ones_differ_in_one_thing(mint: Any) -> None:
    assert len(mint.valid()) in (983, 984)
    assert len(mint.hostile()) == 5
    assert len({token.split(".")[0] for token in mint.unknown_kids(3)}) == 3
    key_set = json.loads(mint.key_set())["keys"]
    assert len({key["kid"] for key in key_set}) == 2
    assert all(set(key) == {"alg", "e", "kid", "kty", "n", "use"} for key in key_set)


def test_many_tokens_are_distinct_and_one_a_line(mint: Any, tmp_path: Path) -> None:
    mint.write(tmp_path / "tokens", 520)
    lines = (tmp_path / "tokens").read_text().splitlines()
    assert len(lines) == len(set(lines)) == 520
    assert {len(line) for line in lines} <= {983, 984}
