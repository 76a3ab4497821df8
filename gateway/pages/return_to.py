"""Where to go after signing in: a path on this site, and never anywhere else. Pure.

Whatever the proxy serves (policy/paths.py) survives signing in. Invariant: what `return_path` gives is `/`,
or begins with one `/`, is printable ASCII without blanks, and no reading of it (policy/readings.py) leads to
another origin.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from gateway.config.model import Paths
from gateway.errors import AmbiguousPath, BadRequest
from gateway.policy.paths import split_target
from gateway.policy.readings import readings

# What any configuration serves; the request that comes back is judged by its own.
_ALL = Paths(encoded_slash="pass", double_slash="pass", semicolon="pass")
# Stricter than the proxy: browsers read `\` as `/` (WHATWG URL, special authority slashes), and a server in
# between may decode once more, so neither follows the first slash in any spelling.
_LEAVES = re.compile(r"/(?:/|\\|%(?:2f|5c))", re.IGNORECASE)
# Whoever resolves `/..;//evil` or `/.%2f/evil` before looking at it is left with `//evil`.
_DOTS = re.compile(r"[^?]*/(?:\.|%2e){1,2}(?:[/;?]|%2f|%5c|$)", re.IGNORECASE)
# Characters. Percent-encoded in the sign-in's own address they are up to three times as many, and that comes
# again as Referer: with our cookies both must fit into a head of 32 KiB (listen.max_header_size).
LONGEST = 4096


def return_path(wanted: str | None) -> str:
    """`wanted` if it is a path of this site, else `/`."""
    if wanted is None or len(wanted) > LONGEST or _LEAVES.match(wanted) or _DOTS.match(wanted):
        return "/"
    try:
        raw_path, _ = split_target(wanted)
        readings(raw_path, _ALL)
    except (BadRequest, AmbiguousPath):
        return "/"
    return wanted


def page_wanted(wanted: str | None) -> str:
    """`wanted` if it is a path of this site; empty where it is none, or no page was asked for."""
    safe = return_path(wanted)
    return safe if safe == wanted else ""


def with_return(address: str, path: str) -> str:
    """`address` with the path to come back to."""
    safe = page_wanted(path)
    return f"{address}?return_to={quote(safe, safe='/')}" if safe else address
