"""cognito-gateway with its default features: metrics, request ID, identity headers.

Logs are off as for the peers: the access log, and the record at level info for each new token.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar

from bench.contestants.base import Contestant
from bench.processes import answers, which


class Gateway(Contestant):
    name = "gateway"
    title = "cognito-gateway"
    fetches_keys = True
    decision_path = "/oauth2/auth"
    # Replaced by `--gateway`, to compare with another checkout or Python version.
    executable: ClassVar[tuple[str, ...]] = (sys.executable, "-m", "gateway")

    @classmethod
    def use(cls, command: str) -> None:
        cls.executable = tuple(shlex.split(command))

    @classmethod
    def missing(cls) -> str | None:
        return None if which(cls.executable[0]) else f"{cls.executable[0]} does not exist"

    @classmethod
    def version_command(cls) -> Sequence[str]:
        return [*cls.executable, "version"]

    def render(self) -> Mapping[str, str]:
        setup = self.setup
        routes = "".join(f"  - path: {path}\n    auth: required\n" for path in setup.routes)
        asking = "\n  trusted_proxies: [127.0.0.1]" if setup.asked else ""
        tls = (
            "" if setup.pem is None else f"\n  tls: {{certificate_file: {setup.pem}, key_file: {setup.pem}}}"
        )
        config = f"""listen:
  address: 127.0.0.1:{setup.port}
  workers: 1{asking}{tls}
upstream:
  url: http://127.0.0.1:{setup.upstream_port}
cognito:
  user_pools:
    - id: {setup.pool_id}
      client_ids: ["{setup.client_id}"]
      token_use: [access]
      issuers: ["{setup.issuer}"]
      jwks_url: {setup.jwks_url}
metrics:
  address: 127.0.0.1:{setup.probe_port}
log:
  access: false
  level: warning
"""
        if routes:
            config += "routes:\n" + routes
        return {"gateway.yaml": config}

    def command(self) -> Sequence[str]:
        return [*self.executable, "serve", "--config", str(self.setup.directory / "gateway.yaml")]

    def ready(self, token: str) -> bool:
        return answers(self.setup.probe_port, "/readyz")
