"""Apache with mod_oauth2 and the event MPM; keys from the endpoint, verified tokens cached by default."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.contestants.base import Contestant
from bench.processes import which

MODULES = Path("/usr/lib/apache2/modules")
LOADED = ("mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http", "oauth2")


class Apache(Contestant):
    name = "apache"
    title = "Apache mod_oauth2"
    fetches_keys = True

    @classmethod
    def missing(cls) -> str | None:
        if not which("apache2"):
            return "apache2 is not installed"
        absent = [name for name in LOADED if not (MODULES / f"mod_{name}.so").exists()]
        return f"{', '.join('mod_' + name for name in absent)} not installed" if absent else None

    @classmethod
    def version_command(cls) -> Sequence[str]:
        return [which("apache2") or "apache2", "-v"]

    def render(self) -> Mapping[str, str]:
        setup = self.setup
        loads = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED)
        # Started as root it must be told its user; started by another user it cannot change it.
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        config = f"""{loads}
ServerRoot {setup.directory}
ServerName 127.0.0.1
PidFile {setup.directory}/pid
DefaultRuntimeDir {setup.directory}
ErrorLog {setup.directory}/error.log
LogLevel crit
{user}
Listen 127.0.0.1:{setup.port}
ServerLimit 1
StartServers 1
ThreadsPerChild 64
ThreadLimit 64
MaxRequestWorkers 64
MinSpareThreads 64
MaxSpareThreads 64
KeepAlive On
KeepAliveTimeout 600
MaxKeepAliveRequests 0
ProxyPass / http://127.0.0.1:{setup.upstream_port}/ keepalive=On
<Location />
    AuthType oauth2
    OAuth2TokenVerify jwks_uri {setup.jwks_url} verify.exp=required
    <RequireAll>
        Require oauth2_claim iss:{setup.issuer}
        Require oauth2_claim token_use:access
        Require oauth2_claim client_id:{setup.client_id}
    </RequireAll>
</Location>
"""
        return {"apache.conf": config}

    def command(self) -> Sequence[str]:
        config = self.setup.directory / "apache.conf"
        return [which("apache2") or "apache2", "-DFOREGROUND", "-f", str(config)]
