"""Errors for OAuth clients: a code of RFC 6749, 7591 or 8707, and one sentence.

Invariant: no text here holds a token, a code or a secret; the sentences are ours.
"""

from __future__ import annotations

from gateway.http.answers import Answer, HeaderLines, json_answer


class OAuthError(Exception):
    """`error` is the code; `sentence` is safe to show; `retry_after` in seconds."""

    def __init__(
        self, error: str, sentence: str, *, status: int = 400, retry_after: int | None = None
    ) -> None:
        super().__init__(f"{error}: {sentence}")
        self.error = error
        self.sentence = sentence
        self.status = status
        self.retry_after = retry_after

    def answer(self) -> Answer:
        """Return the JSON document (RFC 6749 section 5.2)."""
        headers: HeaderLines = []
        if self.retry_after is not None:
            headers.append((b"Retry-After", b"%d" % self.retry_after))
        document = {"error": self.error, "error_description": self.sentence}
        return json_answer(document, status=self.status, headers=headers)
