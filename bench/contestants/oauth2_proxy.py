"""oauth2-proxy accepting bearer tokens (`--skip-jwt-bearer-tokens`), if it is on PATH.

Its audience check reads `client_id` here. It cannot check `token_use`, so it does less than the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from bench.contestants.base import Contestant
from bench.processes import which

_MODULE = re.compile(rb"mod\tgithub\.com/oauth2-proxy/oauth2-proxy/v\d+\tv([0-9A-Za-z.+-]+)")


class OAuth2Proxy(Contestant):
    name = "oauth2-proxy"
    title = "oauth2-proxy"
    fetches_keys = True
    decision_path = "/oauth2/auth"
    decision_status = 202
    cannot_check: ClassVar[frozenset[str]] = frozenset({"wrong token_use"})

    @classmethod
    def missing(cls) -> str | None:
        return None if which("oauth2-proxy") else "oauth2-proxy is not on PATH"

    @classmethod
    def version_command(cls) -> Sequence[str]:
        return [which("oauth2-proxy") or "oauth2-proxy", "--version"]

    @classmethod
    def version(cls) -> str:
        """Read it from the binary's build information: one from `go install` reports "undefined"."""
        binary = which("oauth2-proxy")
        found = None if binary is None else _MODULE.search(Path(binary).read_bytes())
        return found.group(1).decode("ascii") if found else ""

    def render(self) -> Mapping[str, str]:
        setup = self.setup
        settings: dict[str, str | bool | list[str]] = {
            "provider": "oidc",
            "http_address": f"127.0.0.1:{setup.port}",
            "upstreams": [f"http://127.0.0.1:{setup.upstream_port}/"],
            "oidc_issuer_url": setup.issuer,
            "skip_oidc_discovery": True,
            "oidc_jwks_url": setup.jwks_url,
            "login_url": f"{setup.issuer}/authorize",
            "redeem_url": f"{setup.issuer}/token",
            "client_id": setup.client_id,
            "client_secret": "never-used-here",
            # Any 32 bytes: no session is ever created.
            "cookie_secret": "0123456789abcdef0123456789abcdef",
            "oidc_audience_claims": ["client_id"],
            "oidc_email_claim": "sub",
            "insecure_oidc_allow_unverified_email": True,
            "email_domains": ["*"],
            "skip_jwt_bearer_tokens": True,
            # Trust the headers that name the original request, as from a proxy in front.
            "reverse_proxy": setup.asked,
            **({"trusted_proxy_ips": ["127.0.0.1"]} if setup.asked else {}),
            "api_routes": ["^/"],
            "request_logging": False,
            "auth_logging": False,
            "standard_logging": False,
        }
        return {"oauth2-proxy.cfg": "".join(f"{name} = {_toml(value)}\n" for name, value in settings.items())}

    def command(self) -> Sequence[str]:
        return [
            which("oauth2-proxy") or "oauth2-proxy",
            "--config",
            str(self.setup.directory / "oauth2-proxy.cfg"),
        ]


def _toml(value: str | bool | list[str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return f'"{value}"'
