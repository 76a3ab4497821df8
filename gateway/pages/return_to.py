"""The destination after signing in: a path on this site, never anywhere else. Pure.

Every path that the proxy serves (policy/paths.py) is possible. Invariant: the result of `return_path` is `/`,
or starts with exactly one `/`, is printable ASCII without blanks, and in no reading (policy/readings.py)
leads to another origin.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from gateway.config.model import Paths
from gateway.errors import AmbiguousPath, BadRequest
from gateway.policy.paths import split_target
from gateway.policy.readings import readings

# What any configuration may serve; the request that follows is judged by its own rules.
_ALL = Paths(encoded_slash="pass", double_slash="pass", semicolon="pass")
# Stricter than the proxy: browsers read `\` as `/` (WHATWG URL, special authority slashes), and an
# intermediary may decode once more, so neither may follow the first slash in any spelling.
_LEAVES = re.compile(r"/(?:/|\\|%(?:2f|5c))", re.IGNORECASE)
# A server that resolves `/..;//evil` or `/.%2f/evil` before checking it ends up with `//evil`.
_DOTS = re.compile(r"[^?]*/(?:\.|%2e){1,2}(?:[/;?]|%2f|%5c|$)", re.IGNORECASE)
# Characters. Percent-encoded in the sign-in URL they can triple, and the URL comes again as Referer: together
# with our cookies both must fit into a head of 32 KiB (listen.max_header_size).
LONGEST = 4096


def return_path(wanted: str | None) -> str:
    """Return `wanted` if it is a path of this site, else `/`."""
    if wanted is None or len(wanted) > LONGEST or _LEAVES.match(wanted) or _DOTS.match(wanted):
        return "/"
    try:
        raw_path, _ = split_target(wanted)
        readings(raw_path, _ALL)
    except (BadRequest, AmbiguousPath):
        return "/"
    return wanted


def page_wanted(wanted: str | None) -> str:
    """Return `wanted` if it is a path of this site; empty if it is not, or if no page was requested."""
    safe = return_path(wanted)
    return safe if safe == wanted else ""


def with_return(address: str, path: str) -> str:
    """Return `address` with the path to return to."""
    safe = page_wanted(path)
    return f"{address}?return_to={quote(safe, safe='/')}" if safe else address
