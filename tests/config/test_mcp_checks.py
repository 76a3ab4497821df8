"""What `check-config` says about the section `mcp` beside the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config.load import examine

POOL = "id: us-east-1_AbCdEfGhJ, client_ids: [abcde12345]"
BOUND = "id: us-east-1_AbCdEfGhJ, clients: bound, audiences: ['https://api.test/mcp']"
MCP = "resource: 'https://api.test/mcp'"


def said(folder: Path, mcp: str, *, pool: str = POOL, more: str = "") -> str:
    path = folder / "gateway.yaml"
    path.write_text(f"cognito: {{user_pools: [{{{pool}}}]}}\nmcp: {{{mcp}}}\n{more}")
    _, report = examine(path, {})
    return "\n".join(report.lines)


@pytest.mark.parametrize(
    ("mcp", "pool", "more", "told"),
    [
        (MCP, POOL, "sign_in: {enabled: false}\n", "needs sign_in.enabled: true"),
        (MCP, f"{POOL}, token_use: [id]", "", "mcp needs access"),
        (MCP, BOUND, "", "needs a user pool with client_ids"),
        ("resource: 'https://api.test/oauth2/mcp'", POOL, "", "the gateway's own"),
        ("resource: 'http://api.test/mcp'", POOL, "", "must be https"),
        ("resource: 'https://api.test/a/../mcp'", POOL, "", "between single slashes"),
        (f"{MCP}, redirect_uris: ['javascript:x']", POOL, "", "browsers run or read"),
        (f"{MCP}, redirect_uris: ['http://app.example/cb']", POOL, "", "must be https"),
        (f"{MCP}, client_documents: [127.0.0.1]", POOL, "", "must be a public host name"),
        (f"{MCP}, registration: native", POOL, "", "native needs a user pool with clients: bound"),
        (
            f"{MCP}, registration: native, client_documents: [client.example.com]",
            BOUND,
            "",
            "warning: mcp.client_documents: has no effect with registration: native",
        ),
        (
            f"{MCP}, registration: native, redirect_uris: ['https://app.example/cb']",
            BOUND,
            "",
            "warning: mcp.redirect_uris: has no effect with registration: native",
        ),
        (MCP, POOL, "", "warning: mcp: sign_in.session.secret_file is not set"),
        (
            MCP,
            POOL,
            "listen: {public_url: 'https://other.test'}\n",
            "at another origin than listen.public_url",
        ),
        (
            f"{MCP}, tokens: cognito",
            f"{POOL}, audiences: ['https://api.test/other']",
            "",
            "user_pools[0].audiences: does not list https://api.test/mcp",
        ),
        (MCP, POOL, "routes: [{path: /mcp/**, scopes: [a/b]}]\n", "MCP clients of this pool get 403 there"),
    ],
)
def test_settings_that_contradict_each_other_are_mistakes(
    tmp_path: Path, mcp: str, pool: str, more: str, told: str
) -> None:
    assert told in said(tmp_path, mcp, pool=pool, more=more)


def test_settings_that_fit_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a" * 44)
    (tmp_path / "keys").chmod(0o600)
    sign_in = "sign_in: {session: {secret_file: keys}}\n"
    same = "listen: {public_url: 'https://api.test'}\n"
    assert said(tmp_path, MCP, more=sign_in + same + "routes: [{path: /api/**, scopes: [a/b]}]\n") == ""
    assert said(tmp_path, f"{MCP}, registration: native", pool=BOUND, more=sign_in).count("mcp") == 0
