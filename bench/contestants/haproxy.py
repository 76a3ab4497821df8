"""HAProxy with `jwt_verify` and the claim checks as rules; it verifies every token each time.

Unlike the gateway it adds and removes no headers, so the comparison favours HAProxy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.contestants.base import Contestant
from bench.processes import which


class HAProxy(Contestant):
    name = "haproxy"
    title = "HAProxy jwt_verify"

    @classmethod
    def missing(cls) -> str | None:
        return None if which("haproxy") else "haproxy is not installed"

    @classmethod
    def version_command(cls) -> Sequence[str]:
        return [which("haproxy") or "haproxy", "-v"]

    def render(self) -> Mapping[str, str]:
        setup = self.setup
        verified = f'var(txn.bearer),jwt_verify(txn.alg,"{setup.public_key_file}")'
        tls = "" if setup.pem is None else f" ssl crt {setup.pem}"
        config = f"""global
    nbthread 1
defaults
    mode http
    timeout connect 2s
    timeout client 600s
    timeout server 60s
    timeout http-keep-alive 600s
frontend public
    bind 127.0.0.1:{setup.port}{tls}
    http-request set-var(txn.bearer) http_auth_bearer
    http-request deny deny_status 401 unless {{ var(txn.bearer) -m found }}
    http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
    http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
    http-request set-var(txn.use) var(txn.bearer),jwt_payload_query('$.token_use')
    http-request set-var(txn.client) var(txn.bearer),jwt_payload_query('$.client_id')
    http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
    http-request set-var(txn.now) date()
    http-request deny deny_status 401 unless {{ var(txn.alg) -m str RS256 }}
    http-request deny deny_status 401 unless {{ var(txn.iss) -m str {setup.issuer} }}
    http-request deny deny_status 401 unless {{ var(txn.use) -m str access }}
    http-request deny deny_status 401 unless {{ var(txn.client) -m str {setup.client_id} }}
    http-request deny deny_status 401 unless {{ var(txn.exp),sub(txn.now) -m int gt 0 }}
    http-request deny deny_status 401 unless {{ {verified} 1 }}
    default_backend api
backend api
    http-reuse always
    server api 127.0.0.1:{setup.upstream_port}
"""
        return {"haproxy.cfg": config}

    def command(self) -> Sequence[str]:
        return [which("haproxy") or "haproxy", "-db", "-f", str(self.setup.directory / "haproxy.cfg")]
