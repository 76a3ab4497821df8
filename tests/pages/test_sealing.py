"""Sealed values: what opens them, and all that does not."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.sessions.sealing import Sealer
from gateway.sessions.secrets import make_secret, read_secrets

OLD, NEW = b"o" * 32, b"n" * 32
NOW = 1_800_000_000.0


@given(st.binary(max_size=5000), st.binary(max_size=40))
def test_a_sealed_value_opens_under_its_binding(data: bytes, binding: bytes) -> None:
    sealer = Sealer([NEW], "session")
    text = sealer.seal(data, until=NOW + 10, binding=binding)
    assert sealer.open(text, now=NOW, binding=binding) == data
    assert sealer.open(text, now=NOW, binding=binding + b"x") is None
    assert sealer.open(text, now=NOW + 10, binding=binding) is None, "its time has passed"


def test_no_byte_can_be_changed() -> None:
    sealer = Sealer([NEW], "session")
    raw = base64.urlsafe_b64decode(sealer.seal(b"alice", until=NOW + 10) + "==")
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert sealer.open(base64.urlsafe_b64encode(changed).decode().rstrip("="), now=NOW) is None


def test_purposes_are_strangers() -> None:
    text = Sealer([NEW], "csrf").seal(b"", until=NOW + 10)
    assert Sealer([NEW], "session").open(text, now=NOW) is None


def test_keys_rotate_newest_first() -> None:
    before = Sealer([OLD], "session").seal(b"alice", until=NOW + 10)
    rotated = Sealer([NEW, OLD], "session")
    assert rotated.open(before, now=NOW) == b"alice"
    after = rotated.seal(b"bob", until=NOW + 10)
    assert Sealer([NEW], "session").open(after, now=NOW) == b"bob", "the newest seals"
    assert Sealer([NEW], "session").open(before, now=NOW) is None, "a key that left opens nothing"


@given(st.text(max_size=300))
def test_nothing_that_comes_raises(text: str) -> None:
    assert Sealer([NEW], "session").open(text, now=NOW) is None


def test_the_same_value_never_looks_the_same() -> None:
    sealer = Sealer([NEW], "session")
    assert len({sealer.seal(b"alice", until=NOW + 10) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "contains no key"),
        (b"\n \n", "contains no key"),
        (b"n" * 32 + b"\nhunter2\n", "key 2 is shorter than 32 characters"),
    ],
)
def test_a_secret_file_that_will_not_do(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(GatewayError, match=said) as caught:
        read_secrets(tmp_path / "keys")
    assert "openssl rand -base64 32" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="cannot be read: no such file"):
        read_secrets(tmp_path / "keys")


def test_secrets_are_read_newest_first(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"\n" + NEW + b"\r\n\n" + OLD + b"\n")
    assert read_secrets(tmp_path / "keys") == (NEW, OLD)
    assert make_secret() != make_secret()
