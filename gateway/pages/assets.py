"""Style sheet, script and icon, served under names that contain a digest of their content.

Invariant: the content behind a name never changes, so browsers and shared caches may keep it indefinitely. It
is the same for every user, and no cookie is sent with it.
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
# RFC 8246: a reload does not revalidate either. One year is the customary maximum age.
_IMMUTABLE = b"public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    # `/static/pages.0123456789ab.css`.
    path: str
    body: bytes
    content_type: str

    async def serve(self, _portal: object, _page: PageRequest) -> Answer:
        """Return the file, with headers that let any cache keep it."""
        return Answer(
            200, self.body, content_type=self.content_type, headers=[(b"Cache-Control", _IMMUTABLE)]
        )


def is_asset(path: str) -> bool:
    """Return whether this path, relative to the prefix, names a static file."""
    return path.startswith(_PLACE)


@cache
def load() -> Mapping[str, Asset]:
    """Return the assets by file name. Raises OSError if the installation is incomplete."""
    assets = {}
    for file in sorted(_FOLDER.iterdir()):
        if file.suffix in _TYPES:
            body = file.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:12]
            path = f"{_PLACE}{file.stem}.{digest}{file.suffix}"
            assets[file.name] = Asset(path, body, _TYPES[file.suffix])
    return assets
