"""The contestants: the gateway and its peers, each in the simplest setup with the same checks."""

from bench.contestants.apache import Apache
from bench.contestants.base import Contestant, Setup
from bench.contestants.envoy import EnvoyJwt, EnvoyJwtCached, EnvoyRelay
from bench.contestants.gateway import Gateway
from bench.contestants.haproxy import HAProxy
from bench.contestants.nginx import Nginx, NginxAgain
from bench.contestants.oauth2_proxy import OAuth2Proxy

CONTESTANTS: tuple[type[Contestant], ...] = (
    Gateway,
    Nginx,
    HAProxy,
    EnvoyJwt,
    EnvoyJwtCached,
    EnvoyRelay,
    Apache,
    OAuth2Proxy,
)

__all__ = [
    "CONTESTANTS",
    "Apache",
    "Contestant",
    "Gateway",
    "HAProxy",
    "Nginx",
    "NginxAgain",
    "OAuth2Proxy",
    "Setup",
]
