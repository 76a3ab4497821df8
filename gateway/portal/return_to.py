"""Where to go after signing in: a path on this site, and never anywhere else. Pure.

Invariant: what `return_path` gives is `/`, or begins with one `/` and holds nothing that a browser resolves
to another origin or that could end a header line.
"""

from __future__ import annotations

import re
from urllib.parse import quote

# The characters of RFC 3986 paths and queries, and in queries those that browsers send as they are
# (`?filter[a]=b`; WHATWG URL, query percent-encode set). No other: browsers read `\` as `/`, and drop tabs
# and line feeds inside a URL before they look at it (basic URL parser).
_PATH = re.compile(r"/[A-Za-z0-9._~%!$&'()*+,;=:@/-]*(?:\?[A-Za-z0-9._~%!$&'()*+,;=:@/?\[\]{}|^`-]*)?")
# Encoded or not, none of these may follow the first slash: some server in between decodes once more.
_LEAVES = re.compile(r"/(?:/|%(?:2f|5c|0[0-9a-d]|25)|[\\\s])", re.IGNORECASE)
# Whoever resolves `/..//evil` before looking at it is left with `//evil`; no such path is served here anyway
# (policy/paths.py).
_DOTS = re.compile(r"[^?]*/(?:\.|%2e){1,2}(?:[/;?]|%2f|%5c|$)", re.IGNORECASE)
# As long as a path that is asked for gets in practice; longer ones would make the sign-in's own URL too long.
_LONGEST = 2048


def return_path(wanted: str | None) -> str:
    """`wanted` if it is a path of this site, else `/`."""
    if wanted is None or len(wanted) > _LONGEST or not _PATH.fullmatch(wanted):
        return "/"
    if _LEAVES.match(wanted) or _DOTS.match(wanted):
        return "/"
    return wanted


def with_return(address: str, path: str) -> str:
    """`address` with the path to come back to; nothing is added for `/`."""
    safe = return_path(path)
    return address if safe == "/" else f"{address}?return_to={quote(safe, safe='/')}"
