"""Claims as header values: whatever a claim holds, it stays one value of one line and can be read back."""

from __future__ import annotations

from urllib.parse import unquote

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.gate.identity import encode, encode_claim, encode_list
from gateway.http.headers import HeaderTable, fold, scan
from gateway.http.own_cookies import OwnCookies

any_text = st.text(st.characters(codec="utf-8"))


@given(any_text)
@example("a\r\nX-Auth-Request-User: root")
@example("100%0d%0a")
@example("\0\x7f\x85\u2028")
def test_a_value_is_printable_ascii_and_reads_back(value: str) -> None:
    encoded = encode(value)
    assert all(" " <= character <= "~" for character in encoded)
    assert unquote(encoded, errors="strict") == value


@given(st.lists(any_text, min_size=1))
@example(["a,b", "c"])
@example(["a%2Cb"])
def test_a_list_reads_back_member_by_member(values: list[str]) -> None:
    assert [unquote(member) for member in encode_list(values).split(",")] == values


@given(st.text())
def test_a_lone_surrogate_does_not_raise(value: str) -> None:
    encode("\ud800" + value + "\udfff").encode("ascii")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_no_claim_of_any_type_breaks_out_of_its_line(value: object) -> None:
    assert encode_claim(value).isascii()
    assert not set(encode_claim(value)) & set("\r\n\0\t")


_letters = st.sampled_from("X-Auth-Request-User")


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("-_.")), min_size=19, max_size=19))
def test_no_spelling_of_an_identity_header_is_kept(choices: list[tuple[bool, str]]) -> None:
    name = "".join(
        separator if letter == "-" else (letter.upper() if upper else letter.lower())
        for letter, (upper, separator) in zip("X-Auth-Request-User", choices, strict=True)
    ).encode()
    for trusted in (False, True):
        table = HeaderTable(["X-Who"], trusted=trusted)
        assert scan([(name, b"root"), (b"x_who", b"root"), (b"Host", b"h")], table).kept == [b"Host: h\r\n"]
    assert fold(name) == b"x-auth-request-user"


@given(st.lists(st.sampled_from(["a=1", "cognito_gateway=x", "__Host-cognito_gateway_session=y", "b=", "c"])))
def test_only_our_cookies_go(pairs: list[str]) -> None:
    kept, own = OwnCookies().part("; ".join(pairs).encode())
    assert own == [pair.encode() for pair in pairs if "cognito_gateway" in pair]
    assert kept == "; ".join(pair for pair in pairs if "cognito_gateway" not in pair).encode()
