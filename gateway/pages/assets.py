"""Style sheet, script and icons, served under names that contain a digest of their content.

Invariant: the content behind a name never changes, so browsers and shared caches may keep it indefinitely. It
is the same for every user, and no cookie is sent with it.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from gateway.http.answers import Answer
from gateway.http.headers import value_of
from gateway.sessions.page_request import PageRequest

_FOLDER = Path(__file__).with_name("static")
# Behind the prefix.
_PLACE = "/static/"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_NAMED = re.compile(re.escape(_PLACE) + r"([a-z-]+)\.[0-9a-f]{12}(\.[a-z]+)")
# RFC 8246: a reload does not revalidate either. One year is the customary maximum age.
_IMMUTABLE = b"public, max-age=31536000, immutable"
# RFC 9110 section 12.5.3. More members than browsers send are ignored.
_GZIP = re.compile(
    rb"(?:^|,)[ \t]*gzip[ \t]*(?:;[ \t]*q=(?!0(?:\.0*)?[ \t]*(?:,|$))[0-9.]+[ \t]*)?(?:,|$)", re.I
)
_LONGEST_ACCEPT = 256
# An SVG is a document if it is opened by itself. Its own styles are part of the picture; nothing else loads.
_PICTURE_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@dataclass(frozen=True, slots=True)
class Asset:
    # `/static/pages.0123456789ab.css`.
    path: str
    body: bytes = field(repr=False)
    content_type: str
    # None: it would not be smaller.
    gzipped: bytes | None = field(repr=False)

    def answer(self, page: PageRequest, *, current: bool = True) -> Answer:
        """Return the file, with headers that let any cache keep it if it is `current`, the one named."""
        headers = [(b"Cache-Control", _IMMUTABLE)] if current else []
        if self.content_type == TYPES[".svg"]:
            headers.append((b"Content-Security-Policy", _PICTURE_POLICY))
        body = self.body
        if self.gzipped is not None:
            headers.append((b"Vary", b"Accept-Encoding"))
            accepted = value_of(page.request.head, b"accept-encoding") or b""
            if _GZIP.search(accepted[:_LONGEST_ACCEPT]):
                headers.append((b"Content-Encoding", b"gzip"))
                body = self.gzipped
        return Answer(200, body, content_type=self.content_type, headers=headers)


def made(name: str, body: bytes) -> Asset:
    """Return the asset of this file name and content."""
    stem, suffix = name[: name.rindex(".")], name[name.rindex(".") :]
    digest = hashlib.sha256(body).hexdigest()[:12]
    # Once for each configuration, so the best level; without a time of day, so that replicas agree.
    smaller = gzip.compress(body, 9, mtime=0)
    return Asset(
        f"{_PLACE}{stem}.{digest}{suffix}",
        body,
        TYPES[suffix],
        smaller if len(smaller) < len(body) and suffix != ".png" else None,
    )


def is_asset(path: str) -> bool:
    """Return whether this path, relative to the prefix, names a static file."""
    return path.startswith(_PLACE)


def name_in(path: str) -> str | None:
    """Return the file name of an asset's path, without the digest; None if it has another form."""
    match = _NAMED.fullmatch(path)
    return None if match is None else match[1] + match[2]


@cache
def built_in() -> Mapping[str, Asset]:
    """Return the assets of the package by file name. Raises OSError if the installation is incomplete."""
    files = sorted(each for each in _FOLDER.iterdir() if each.suffix in TYPES)
    return {file.name: made(file.name, file.read_bytes()) for file in files}
