"""The readings of a path: everything an upstream may make of it where `paths:` lets ambiguity through. Pure.

Each permitted transformation is applied and not applied, in every order; routes are matched against every
result, and all of them must be allowed.

Invariant: whatever a server makes of a path by decoding it once, by reading encoded slashes as data or as
separators, by dropping path parameters or empty segments, or by leaving any of that, is among its readings;
and no reading contains a dot segment.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.config.model import Paths
from gateway.errors import AmbiguousPath
from gateway.policy.paths import (
    BACKSLASH,
    SEMICOLON,
    SLASH,
    canonical_path,
    decoded,
    is_plain,
    refuse_reading,
)

# Characters of all readings together: twice the longest plain path (32 KiB), so that a path crafted to have
# dozens of readings costs no more than a long one; real paths need a few hundred.
_MOST = 64 * 1024

_SLASHES = re.compile(r"//+")
_PARAMETERS = re.compile(r";[^/]*")

Liberty = Callable[[str], str]


def readings(raw_path: str, paths: Paths) -> tuple[str, ...]:
    """Return the paths that routes are matched against; nearly always one. Raises AmbiguousPath."""
    if is_plain(raw_path):
        return (raw_path,)
    liberties = _liberties(paths)
    if not liberties:
        return (canonical_path(raw_path),)
    found = [decoded(raw_path, paths)]
    size = len(found[0])
    for reading in found:  # grows: each transformation also applies to the results of the others
        refuse_reading(reading, paths)
        for further in [liberty(reading) for liberty in liberties]:
            if further not in found:
                found.append(further)
                size += len(further)
        if size > _MOST:
            raise AmbiguousPath("a long path that can be read in too many ways")
    # Routes do not distinguish an encoded semicolon from a plain one.
    return tuple(dict.fromkeys(reading.replace(SEMICOLON, ";") for reading in found))


def _liberties(paths: Paths) -> list[Liberty]:
    """Return the transformations a server may apply to what is let through."""
    allowed: list[Liberty] = []
    if paths.encoded_slash == "pass":
        allowed += (_slash, _backslash)
    if paths.double_slash == "pass":
        allowed.append(_collapsed)
    if paths.semicolon == "pass":
        allowed += (_semicolon, _without_parameters, _without_last_parameters, _until_semicolon)
    return allowed


def _slash(path: str) -> str:
    return path.replace(SLASH, "/")


def _backslash(path: str) -> str:
    return path.replace(BACKSLASH, "/")


def _semicolon(path: str) -> str:
    return path.replace(SEMICOLON, ";")


def _collapsed(path: str) -> str:
    return _SLASHES.sub("/", path)


def _without_parameters(path: str) -> str:
    """Drop the parameters of every segment (RFC 3986 section 3.3)."""
    return _PARAMETERS.sub("", path)


def _without_last_parameters(path: str) -> str:
    """Drop the parameters of the last segment only (RFC 1808 section 2.4.5)."""
    start = path.rfind("/")
    return path[:start] + path[start:].partition(";")[0]


def _until_semicolon(path: str) -> str:
    return path.partition(";")[0]
