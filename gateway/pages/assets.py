"""Style sheet, script and icon: served under names that change with their content.

Invariant: what a name stands for never changes, so browsers, and caches in between, may keep it for ever; so
it is the same for everybody, and no cookie goes out with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gateway.http.answers import Answer
from gateway.sessions.page_request import PageRequest

_FOLDER = Path(__file__).with_name("static")
# Behind the prefix.
_PLACE = "/static/"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# RFC 8246: not even a reload asks again. A year is what RFC 9111 takes for ever.
_FOR_EVER = b"public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    # `/static/pages.0123456789ab.css`.
    path: str
    body: bytes
    content_type: str

    async def serve(self, _portal: object, _page: PageRequest) -> Answer:
        """The handler."""
        return Answer(200, self.body, content_type=self.content_type, headers=[(b"Cache-Control", _FOR_EVER)])


def is_asset(path: str) -> bool:
    """Whether this path behind the prefix is a file's."""
    return path.startswith(_PLACE)


@cache
def load() -> Mapping[str, Asset]:
    """By file name. Raises OSError when the installation is broken."""
    assets = {}
    for file in sorted(_FOLDER.iterdir()):
        if file.suffix in _TYPES:
            body = file.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:12]
            path = f"{_PLACE}{file.stem}.{digest}{file.suffix}"
            assets[file.name] = Asset(path, body, _TYPES[file.suffix])
    return assets
