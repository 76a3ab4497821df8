"""The operator's own texts: a file of language → English text → own text, checked completely. Pure.

Invariant: what is returned exists in the catalogues and has the same placeholders, so that no page can fail
on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from string import Formatter

from gateway.config import source
from gateway.config.report import Report
from gateway.config.suggest import closest
from gateway.pages.catalogue import LANGUAGES, Forms, texts

# Characters of a text in a message about it.
_SHOWN = 80


def messages(content: bytes) -> Mapping[str, Mapping[str, Forms]]:
    """Return the texts by language. Raises ValueError with a mistake and its line."""
    report = Report()
    tree = source.read(content, "", report)
    for finding in report.findings:
        raise ValueError(f"line {finding.place.line}: {finding.text}")
    if tree.root is None:
        return {}
    return {entry.key: dict(_texts(entry)) for entry in _entries(tree.root, LANGUAGES, "language")}


def _texts(language: source.Entry) -> Iterator[tuple[str, Forms]]:
    known, plurals = texts(), LANGUAGES[language.key].plurals
    for entry in _entries(language.node, known, "text"):
        other = known[entry.key]
        wanted = placeholders(entry.key if other is None else other)
        if other is None:
            nodes = [entry.node]
        elif isinstance(entry.node, source.Sequence) and len(entry.node.items) == plurals:
            nodes = entry.node.items
        else:
            raise ValueError(f"line {entry.place.line}: has to be a list of {plurals}, one for each plural")
        yield entry.key, tuple(_form(node, wanted, counted=other is not None) for node in nodes)


def _form(node: source.Node, wanted: frozenset[str], *, counted: bool) -> str:
    if not isinstance(node, source.Scalar) or not node.text.strip():
        raise ValueError(f"line {node.place.line}: has to be a text")
    if wrong := broken(node.text, wanted, counted=counted):
        raise ValueError(f"line {node.place.line}: {wrong}")
    return node.text


def broken(form: str, wanted: frozenset[str], *, counted: bool) -> str | None:
    """Return what is wrong with the placeholders of a translation; None if they are right.

    A form for one number need not name it (`counted`)."""
    try:
        found = placeholders(form)
    except ValueError as error:
        return f"{_short(form)}: {error}: braces are for placeholders such as {{name}}"
    for name in sorted(found - wanted):
        known = ", ".join(f"{{{each}}}" for each in sorted(wanted)) or "none"
        meant = _meant(name, wanted) or f"known here: {known}"
        return f"{_short(form)}: unknown placeholder {{{name}}}: {meant}"
    for name in sorted(wanted - found - ({"count"} if counted else set())):
        return f"{_short(form)}: the placeholder {{{name}}} is missing"
    return None


def placeholders(text: str) -> frozenset[str]:
    """Return the names in braces. Raises ValueError for anything else in braces, such as {0} or {a.b}."""
    names = set()
    if "{{" in text or "}}" in text:
        raise ValueError("a brace")
    for _, name, shape, conversion in Formatter().parse(text):
        if name is None:
            continue
        if not name.isidentifier() or shape or conversion:
            raise ValueError("not a placeholder")
        names.add(name)
    return frozenset(names)


def _entries(node: source.Node, known: Iterable[str], what: str) -> Iterator[source.Entry]:
    if not isinstance(node, source.Mapping):
        # Of the file, not of a caller.
        raise ValueError(  # noqa: TRY004
            f"line {node.place.line}: has to be language: {{English text: your text}}"
        )
    seen = set()
    for entry in node.entries:
        line = f"line {entry.place.line}"
        if entry.key not in known:
            names = tuple(known)
            rest = "" if what == "text" else f": known here: {', '.join(names)}"
            raise ValueError(
                f"{line}: unknown {what} {_short(entry.key)}{_meant(entry.key, names, ': ') or rest}"
            )
        if entry.key in seen:
            raise ValueError(f"{line}: {_short(entry.key)} comes twice")
        seen.add(entry.key)
        yield entry


def _meant(name: str, known: Iterable[str], before: str = "") -> str:
    by_lower = {each.lower(): each for each in known}
    near = closest(name, by_lower)
    return "" if near is None else f"{before}did you mean {_short(by_lower[near])}?"


def _short(text: str) -> str:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return repr(shown)
