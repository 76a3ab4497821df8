"""The parser of Redis URLs: `redis://`, `rediss://` (TLS) or `unix:/path`.

Invariant: no mistake and no repr repeats any of the text: it may contain a password.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from gateway.config import addresses

_URL = re.compile(
    r"(?P<scheme>rediss?)://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?P<host>\[[^\]/?#]*\]|[^:/?#\[\]@]+)(?::(?P<port>[0-9]+))?(?:/(?P<database>[0-9]*))?(?:\?(?P<query>[^#]*))?",
    re.ASCII,
)
_UNIX = re.compile(r"unix:(?P<path>/[^?#]*)(?:\?(?P<query>[^#]*))?", re.ASCII)
# The options in the query: the database, also for unix sockets, and the CA file.
_OPTIONS = frozenset({"db", "ca_file"})
# IANA's port for Redis.
_PORT = 6379


class RedisPlace(NamedTuple):
    """A parsed Redis URL.

    `unix` is the socket's path or "", and with it `host` is "". Without `ca_file`, the system's CAs are
    trusted.
    """

    host: str
    port: int
    unix: str
    tls: bool
    username: str | None
    password: str | None
    database: int
    ca_file: str | None

    @property
    def name(self) -> str:
        """The address for logs, without secrets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.unix}" if self.unix else f"{host}:{self.port}"

    def __repr__(self) -> str:
        return f"<RedisPlace {self.name}/{self.database}{' over TLS' if self.tls else ''}>"


def redis_place(text: str) -> RedisPlace:
    """Parse a Redis URL. Raises ValueError with a clause that repeats none of it."""
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("not a URL that begins with redis://, rediss:// or unix:/")
    unix = _UNIX.fullmatch(text)
    if unix is not None:
        database, _ = _options(unix["query"])
        path = str(addresses.socket_path(unquote(unix["path"])))
        return RedisPlace("", 0, path, False, None, None, database or 0, None)
    match = _URL.fullmatch(text)
    if match is None:
        if re.match(r"rediss?://", text):
            raise ValueError(
                "not redis://[user:password@]host[:port][/database]; in a password write @ : / ? # and % "
                "as %40 %3A %2F %3F %23 and %25"
            )
        raise ValueError("not a URL that begins with redis://, rediss:// or unix:/")
    database, ca_file = _options(match["query"])
    if match["database"]:
        if database is not None:
            raise ValueError("the database is named twice: in the path and as db=")
        database = _database(match["database"])
    if ca_file is not None and match["scheme"] == "redis":
        raise ValueError("ca_file needs rediss://: redis:// is not encrypted")
    return RedisPlace(
        host=_host(match["host"]),
        port=_port(match["port"]),
        unix="",
        tls=match["scheme"] == "rediss",
        username=unquote(match["user"]) if match["user"] else None,
        password=unquote(match["password"]) if match["password"] else None,
        database=database or 0,
        ca_file=ca_file,
    )


def redis_url(text: str) -> str:
    """Return the text unchanged if it is a valid Redis URL. Raises ValueError."""
    redis_place(text)
    return text


def _host(text: str) -> str:
    try:
        return addresses.host_name(text[1:-1] if text.startswith("[") else text)
    except ValueError:
        raise ValueError("its host is not a host name or an IP address") from None


def _port(text: str | None) -> int:
    try:
        return _PORT if text is None else addresses.port_number(text, 1)
    except ValueError:
        raise ValueError("its port is not one from 1 to 65535") from None


def _options(query: str | None) -> tuple[int | None, str | None]:
    try:
        given = parse_qsl(query or "", keep_blank_values=True, strict_parsing=bool(query), max_num_fields=2)
    except ValueError:
        given = [("", "")]
    options = dict(given)
    if len(options) != len(given) or not options.keys() <= _OPTIONS:
        raise ValueError("its query may only have db=NUMBER and ca_file=PATH, each once")
    ca_file = options.get("ca_file")
    if ca_file is not None and (not ca_file.startswith("/") or "\0" in ca_file):
        raise ValueError("ca_file is not an absolute path")
    return (_database(options["db"]) if "db" in options else None), ca_file


def _database(text: str) -> int:
    # Redis has 16 unless configured otherwise; a longer number is surely a mistake.
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII):
        raise ValueError("its database is not a number such as 0")
    return int(text)
