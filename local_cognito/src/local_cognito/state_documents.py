"""The state of client ID metadata documents: policies, and the documents that were fetched.

Data only; a policy belongs to a pool, and its documents to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientDocument:
    """A document as the client published it; its URL is the client's ID."""

    url: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    cached: float
    expires: float


@dataclass(slots=True)
class CimdPolicy:
    """Maps the URLs that match its patterns to one app client."""

    id: str
    name: str
    client_id: str
    patterns: list[str]
    # How long a document is used whose Cache-Control does not say so.
    seconds: int
    created: float
    modified: float
    # URL → its document, oldest first.
    documents: dict[str, ClientDocument] = field(default_factory=dict)
