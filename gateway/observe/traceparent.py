"""W3C Trace Context: parsing and rendering of `traceparent`. Pure.

Invariant: anything that is not exactly a traceparent is ignored; then a new trace begins.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Section 3.2.2: lower-case hexadecimal. Versions after 00 may continue after another dash.
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
SAMPLED = 0x01
# Level 2, section 3.2.2.5.2: the right half of the trace ID is random; passed on unchanged. Other flags are
# unknown to version 00 and have to be 0.
_RANDOM = 0x02


class Parent(NamedTuple):
    """The parent span of a request."""

    trace_id: int
    span_id: int
    flags: int


def parse(value: bytes) -> Parent | None:
    """Parse a header value; None if it is malformed (section 3.2.2)."""
    match = _FORM.fullmatch(value)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    parent = Parent(int(trace_id, 16), int(span_id, 16), int(flags, 16) & (SAMPLED | _RANDOM))
    return parent if parent.trace_id and parent.span_id else None


def render(trace_id: int, span_id: int, flags: int) -> bytes:
    """Return the header line that names this span as the parent."""
    return b"traceparent: 00-%032x-%016x-%02x\r\n" % (trace_id, span_id, flags)
