"""nginx as a plain relay without authentication: the baseline, the cost of moving the bytes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.contestants.base import Contestant
from bench.processes import which


class Nginx(Contestant):
    """The baseline."""

    name = "nginx"
    title = "nginx, relay without auth"
    authenticates = False

    @classmethod
    def missing(cls) -> str | None:
        return None if which("nginx") else "nginx is not installed"

    @classmethod
    def version_command(cls) -> Sequence[str]:
        return [which("nginx") or "nginx", "-v"]

    def render(self) -> Mapping[str, str]:
        directory = self.setup.directory
        pem = self.setup.pem
        tls = (
            "" if pem is None else f" ssl;\n        ssl_certificate {pem};\n        ssl_certificate_key {pem}"
        )
        config = f"""daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    # Large bodies are passed on as they come, both ways, as a gateway that holds nothing does.
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream api {{
        server 127.0.0.1:{self.setup.upstream_port};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{self.setup.port}{tls};
        location / {{
            proxy_pass http://api;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
        location ~ ^/(socket|frames)$ {{
            proxy_pass http://api;
            proxy_http_version 1.1;
            proxy_set_header Connection upgrade;
            proxy_set_header Upgrade websocket;
        }}
    }}
}}
"""
        return {"nginx.conf": config}

    def command(self) -> Sequence[str]:
        directory = self.setup.directory
        config = directory / "nginx.conf"
        nginx = which("nginx") or "nginx"
        return [nginx, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(config)]


class NginxAgain(Nginx):
    """The control: the same program with the same configuration, measured in the same rounds."""

    name = "control"
