"""`explain` from outside: what it prints, its exit codes, and that the signature stays out of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from gateway.mcp.sealed_tokens import SealedTokens
from tests.support.commands import run
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign

KEY = KeyPair.generate("access-key")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a configuration whose keys are pinned: nothing is asked over the network."""
    (tmp_path / "keys.json").write_bytes(key_set_document(KEY))
    (tmp_path / "g.yaml").write_text(
        f"cognito:\n  user_pools:\n    - id: {POOL_ID}\n      client_ids: [{CLIENT_ID}]\n"
        f"      jwks_file: {tmp_path}/keys.json\n"
    )
    return tmp_path


def explain(
    place: Path, *arguments: str, token: bytes | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    return run(
        *("explain", "--config", "g.yaml", *arguments),
        cwd=place,
        environ={"PATH": "/usr/bin:/bin", **environ},
        given=None if token is None else token.decode(),
    )


def test_a_good_token(place: Path) -> None:
    token = sign(KEY, access_claims())
    done = explain(place, token.decode())
    assert (done.returncode, done.stderr) == (0, "")
    assert f"accepted, as a token of pool {POOL_ID}\n" in done.stdout
    assert "✗" not in done.stdout
    assert "\x1b" not in done.stdout
    assert '"username": "alice"' in done.stdout


@pytest.mark.parametrize("spelling", ["{}", "{}\n", "Bearer {}", "Authorization: Bearer {}\r\n", "bearer {}"])
def test_from_stdin_as_it_was_copied(place: Path, spelling: str) -> None:
    token = sign(KEY, access_claims()).decode()
    for arguments in ((), ("-",)):
        assert explain(place, *arguments, token=spelling.format(token).encode()).returncode == 0


def test_a_bad_token_with_all_that_is_wrong(place: Path) -> None:
    token = sign(KEY, access_claims(client_id="2other", lifetime=-60))
    done = explain(place, token=token)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert f"✗ client     client_id 2other — expected: {CLIENT_ID}" in lines
    assert any(
        line.startswith("✗ expiry     exp 20") and " ago — expected: after now 20" in line for line in lines
    )
    assert "✓ signature  holds" in lines
    assert lines[-1].startswith("refused with 401 (wrong_client): ")


def test_for_machines(place: Path) -> None:
    token = sign(KEY, access_claims(token_use="id", aud=CLIENT_ID))
    done = explain(place, "--json", token=token)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["accepted"], answer["status"]) == (1, False, 401)
    assert answer["reason"] == "wrong_token_use"
    assert [check["name"] for check in answer["checks"] if check["passed"] is False] == ["token use"]
    assert answer["claims"]["token_use"] == "id"


def test_the_signature_is_cut(place: Path) -> None:
    token = sign(KEY, access_claims())
    signature = token.rpartition(b".")[2].decode()
    for arguments in ((), ("--json",)):
        done = explain(place, *arguments, token=token)
        assert signature[:16] not in done.stdout + done.stderr


def test_text_that_is_no_token_is_refused_without_its_control_characters(place: Path) -> None:
    done = explain(place, token=b"hello\x1b[31m")
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout
    assert "✗ form" in done.stdout
    nothing = explain(place, token=b"\n")
    assert nothing.returncode == 1
    assert nothing.stderr == "cognito-gateway: explain: no token: pass it as an argument or on stdin\n"


def test_keys_that_cannot_be_had(place: Path) -> None:
    (place / "keys.json").write_text("<html>not today</html>")
    done = explain(place, token=sign(KEY, access_claims()))
    assert done.returncode == 1
    assert "✗ key" in done.stdout
    assert "keys.json: not JSON" in done.stdout
    assert "refused with 503 (no_keys)" in done.stdout


ROUTES = """
routes:
  - path: /status
    auth: none
  - path: /admin/**
    groups: [admins]
"""


@pytest.mark.parametrize(
    ("path", "code", "route", "told"),
    [
        ("/orders?x=1", 0, "none: a valid token is required", "allowed (valid_token)"),
        ("/status", 0, "/status (auth: none)", "allowed (open_route): the token is not checked"),
        (
            "/admin/users",
            1,
            "/admin/** (auth: required)",
            "refused with 403 (missing_group): in none of the groups admins",
        ),
        (
            "/a/../admin",
            1,
            "none: the path is refused before any route",
            "refused with 400 (ambiguous_path): dot segment in the path",
        ),
        (
            "/oauth2/sign_in",
            1,
            "none: the path is the gateway's own",
            "never proxied: the gateway answers it",
        ),
        (
            "/.well-known/oauth-protected-resource/a",
            1,
            "none: the path is the gateway's own",
            "never proxied: the gateway answers it",
        ),
    ],
)
def test_which_route_decides_what(place: Path, path: str, code: int, route: str, told: str) -> None:
    (place / "g.yaml").write_text((place / "g.yaml").read_text() + ROUTES)
    done = explain(place, "--path", path, token=sign(KEY, access_claims()))
    assert done.returncode == code, done.stdout
    assert done.stdout.splitlines()[-3:] == [f"request  GET {path}", f"route    {route}", told]
    answer = json.loads(explain(place, "--path", path, "--json", token=sign(KEY, access_claims())).stdout)
    assert answer["decision"] == {"request": f"GET {path}", "route": route, "allowed": not code, "told": told}


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("TRACE", "TRACE is refused on every path"),
        ("get", "'get' is not a method: write it in upper case, GET"),
        ("G T", "'G T' is not a method such as GET"),
    ],
)
def test_a_method_that_is_never_served(place: Path, method: str, told: str) -> None:
    done = explain(place, "--path", "/orders", "--method", method, token=sign(KEY, access_claims()))
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_without_a_pool_no_token_is_looked_at(place: Path) -> None:
    (place / "g.yaml").write_text(ROUTES)
    told = "refused with 503 (not_configured): no user pool is configured"
    for token in (sign(KEY, access_claims()), b"rubbish"):
        done = explain(place, "--path", "/orders", token=token)
        assert done.returncode == 1
        assert done.stdout.splitlines().count(told) == 2
    assert explain(place, "--path", "/status", token=b"rubbish").returncode == 0


def test_a_bad_token_decides_before_the_route_does(place: Path) -> None:
    (place / "g.yaml").write_text((place / "g.yaml").read_text() + ROUTES)
    done = explain(place, "--path", "/admin/x", token=sign(KEY, access_claims(lifetime=-5)))
    assert done.returncode == 1
    assert re.fullmatch(
        r"refused with 401 \(token_expired\): exp passed \d+ s ago", done.stdout.splitlines()[-1]
    )
    assert explain(place, "--path", "/status", token=b"rubbish").returncode == 0


def test_a_sealed_token_of_an_mcp_client(place: Path) -> None:
    """What is inside is explained, with the scopes that were consented to, and where it may be used."""
    secret, resource = b"a" * 44, "https://api.example.com/mcp"
    (place / "secret").write_bytes(secret + b"\n")
    file = place / "g.yaml"
    bare = file.read_text()
    more = f"mcp: {{resource: '{resource}'}}\nsign_in: {{session: {{secret_file: secret}}}}\n"
    file.write_text(f"{bare}{more}routes: [{{path: /mcp/admin, scopes: [tools/admin]}}]\n")
    inside = sign(KEY, access_claims(scope="tools/read tools/admin")).decode()
    token = SealedTokens([secret], resource).seal(inside, client="c" * 32, scopes=["tools/read"])
    done = explain(place, token)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"for MCP client {'c' * 32}, tools/read, at {resource} and below" in done.stdout
    assert inside.rpartition(".")[2] not in done.stdout
    for path, code, told in (
        ("/mcp/tools", 0, "allowed (valid_token)"),
        ("/mcp/admin", 1, "insufficient_scope"),
        ("/api", 1, "wrong_audience"),
    ):
        done = explain(place, "--path", path, token)
        assert done.returncode == code, done.stdout
        assert told in done.stdout
    for broken in (
        token[:-5] + "AAAAA",
        SealedTokens([b"b" * 44], resource).seal(inside, client="c", scopes=[]),
    ):
        done = explain(place, broken)
        assert done.returncode == 1
        assert "sealed for another gateway or resource" in done.stdout
    file.write_text(bare)
    assert "mcp is not configured" in explain(place, token).stdout
