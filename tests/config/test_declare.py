"""A section declared as a class: the schema and the completed section come from the same lines."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from gateway.config import model
from gateway.config import shapes as s
from gateway.config.declare import Declared, completed, key, optional, required, section, section_of, written
from gateway.config.shapes import Key, ListOf, Section


@section
class Inner(Declared):
    names: tuple[str, ...] = key(ListOf(s.GROUP), ("a",), "Names.")


@section
class Outer(Declared):
    file: Path = required(s.FILE, "A file.", example="/etc/file")
    size: float = completed(key(s.size("0", "1KiB"), "0", "Another type."))
    passed: int = key(s.integer(1, 9), "3", "A number.", name="pass", default=3)
    secret: str | None = optional(s.REDIS, "A secret.", secret=True, default=None)
    url = written(key(s.UPSTREAM, "http://127.0.0.1:8080", "In parts."))
    inner: Inner | None = optional(section_of(Inner), "A section.", default=None)


def test_a_class_declares_its_part_of_the_schema() -> None:
    keys = section_of(Outer).keys
    assert [(each.name, each.field, each.completes) for each in keys] == [
        ("file", "file", True),
        ("size", "size", False),
        ("pass", "passed", True),
        ("secret", "secret", True),
        ("url", "", True),
        ("inner", "inner", True),
    ]
    assert keys[0].required
    assert keys[0].example == "/etc/file"
    assert keys[3].nullable
    assert keys[5].shape is section_of(Inner)


def test_the_class_becomes_the_completed_section() -> None:
    made = Outer(file=Path("x"), size=1.5, secret="redis://:hidden@host")
    assert [field.name for field in fields(made)] == ["file", "size", "passed", "secret", "inner"]
    assert made.passed == 3
    assert "hidden" not in repr(made)
    with pytest.raises(FrozenInstanceError):
        made.passed = 4  # type: ignore[misc]
    with pytest.raises(TypeError, match="size"):
        Outer(file=Path("x"))  # type: ignore[call-arg]


def declared(of: Section[object]) -> list[tuple[Section[object], Key]]:
    found = []
    for each in of.keys:
        found.append((of, each))
        inner = each.shape.of if isinstance(each.shape, ListOf) else each.shape
        if isinstance(inner, Section):
            found += declared(inner)
    return found


def test_every_key_of_the_configuration_has_its_field() -> None:
    """But for those that become others; and every field that is no key's is listed here."""
    without, beside = set(), set()
    for of, each in declared(section_of(model.Config)):
        if not each.field:
            without.add(each.name)
        names = {other.field for other in of.keys}
        beside |= {field.name for field in fields(of.made)} - names  # type: ignore[arg-type]
    assert without == {"url", "proxy", "ca_file", "issuer_from"}
    assert beside == {
        *("scheme", "host", "port", "unix", "egress", "issuing_endpoint", "managed", "signs", "stored"),
    }


def test_secrets_are_in_no_repr() -> None:
    """Whatever may hold a password."""
    urls = [(of, each) for of, each in declared(section_of(model.Config)) if each.shape is s.REDIS]
    assert len(urls) == 3
    for of, each in urls:
        assert not next(field for field in fields(of.made) if field.name == each.field).repr  # type: ignore[arg-type]
