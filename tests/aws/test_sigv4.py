"""The query in a signature is what a server computes that decodes and encodes it again."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

from hypothesis import given
from hypothesis import strategies as st

from gateway.aws.sigv4 import canonical_query

# What may stand in a query that the gateway passes on: visible ASCII, well-formed escapes or not.
SENT = st.text(st.sampled_from("abZ09-_.~%%%2bF=&&+:/?@!$'()*,;[]|<>\"{}\\^`"), max_size=40)


@given(SENT)
def test_a_server_computes_the_same_signature(query: str) -> None:
    pairs = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
    expected = "&".join("=".join(quote(t, safe="-_.~", encoding="latin-1") for t in pair) for pair in pairs)
    assert canonical_query(query) == expected


@given(SENT)
def test_it_is_canonical_already_the_second_time(query: str) -> None:
    once = canonical_query(query)
    assert canonical_query(once) == once
