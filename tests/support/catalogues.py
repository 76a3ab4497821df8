"""The texts of the pages, collected from code and templates, and the .po files that have them.

`python -m tests.support.catalogues` (`make config`) writes gateway/pages/languages: messages.pot, and into
each .po file the new texts, empty until they are translated; translations of texts that no longer exist are
dropped. Invariant: every other translation is kept unchanged.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, nodes

from gateway import errors
from gateway.errors import Refusal
from gateway.pages import po
from gateway.pages.catalogue import ENGLISH, FOLDER, LANGUAGES, TEMPLATE
from gateway.pages.po import Message

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "gateway/pages/templates"
# Text → its plural or None, and where it occurs.
Texts = dict[str, tuple[str | None, set[str]]]
_RULES = {
    (1, 0): "nplurals=1; plural=0;",
    (2, 0): "nplurals=2; plural=(n > 1);",
    (2, 1): "nplurals=2; plural=(n != 1);",
}
# What a translator cannot guess.
_NOTES = {
    ", ": "Between the items of a list.",
    "{first}, {next}": "A list of several items, without the last one.",
    "{first} and {last}": "The end of a list.",
    "Text me a code": "Send me a text message (SMS) with a code.",
    "in {time}": "Behind 'Send another': when one may be asked for. {time} is a countdown such as 0:59.",
    "none": "Of the groups that a user belongs to.",
    "Connection": "A button: to the page that connects the gateway with a user pool.",
    "It may": "Heading of the list of what an application is allowed to do.",
    "Deny": "A button: refuse the application access.",
    "Address": "A postal address.",
}


def collected() -> Texts:
    """Return every text of the pages."""
    found: Texts = {}
    for file in sorted((ROOT / "gateway").rglob("*.py")):
        for text, other in _of_code(ast.parse(file.read_text(encoding="utf-8"))):
            _add(found, text, other, file)
    for kind in _kinds(Refusal):
        for said in (kind.__dict__.get("title"), kind.__dict__.get("detail")):
            if isinstance(said, str):
                _add(found, said, None, Path(errors.__file__))
    for file in sorted(TEMPLATES.glob("*.html")):
        for text, other in _of_template(file.read_text(encoding="utf-8")):
            _add(found, text, other, file)
    return found


def _add(found: Texts, text: str, other: str | None, file: Path) -> None:
    known = found.setdefault(text, (other, set()))
    assert known[0] == other, f"{text!r} has two plurals: {known[0]!r} and {other!r}"
    known[1].add(str(file.relative_to(ROOT)))


def _of_code(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        written = ast.unparse(node.func)
        if written == "Text":
            yield _literal(node.args[0]), None
        elif written == "Text.counted":
            yield _literal(node.args[0]), _literal(node.args[1])


def _literal(node: ast.expr) -> str:
    value = node.value if isinstance(node, ast.Constant) else None
    assert isinstance(value, str), f"no literal: {ast.unparse(node)}"
    return value


def _of_template(text: str) -> Iterator[tuple[str, str | None]]:
    for call in Environment(autoescape=True).parse(text).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in {"_", "counted"}:
            several = call.node.name == "counted"
            yield _constant(call.args[0]), _constant(call.args[1]) if several else None


def _constant(node: nodes.Expr) -> str:
    value = node.value if isinstance(node, nodes.Const) else None
    assert isinstance(value, str), f"no literal: {node}"
    return value


def _kinds(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


# --- files ---


def written(texts: Texts, language: str | None, known: dict[str, Message]) -> str:
    """Return a .po file with these texts; `language` None: the template."""
    parts = [_header(language)]
    for text, (other, places) in sorted(texts.items(), key=lambda each: (min(each[1][1]), each[0])):
        message = known.get(text)
        plurals = LANGUAGES[language].plurals if language else 2
        count = 1 if other is None else plurals
        forms = message.forms if message is not None and message.other == other else []
        forms = forms if len(forms) == count else [""] * count
        lines = [f"#. {note}" for note in [_NOTES.get(text, "")] if note]
        lines += [f"#: {place}" for place in sorted(places)]
        if re.search(r"\{\w+\}", text + (other or "")):
            lines.append("#, python-brace-format")
        lines.append(f"msgid {_quoted(text)}")
        if other is None:
            lines.append(f"msgstr {_quoted(forms[0])}")
        else:
            lines.append(f"msgid_plural {_quoted(other)}")
            lines += [f"msgstr[{number}] {_quoted(form)}" for number, form in enumerate(forms)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _header(language: str | None) -> str:
    lines = ['msgid ""', 'msgstr ""', '"Content-Type: text/plain; charset=UTF-8\\n"']
    if language is not None:
        spoken = LANGUAGES[language]
        rule = _RULES[spoken.plurals, spoken.plural(0)]
        lines += [f'"Language: {language}\\n"', f'"Plural-Forms: {rule}\\n"']
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def messages_of(file: Path) -> dict[str, Message]:
    """Return the entries of a file by their text, without the header."""
    if not file.exists():
        return {}
    return {each.id: each for each in po.read(file.read_text(encoding="utf-8")) if each.id}


def files() -> Iterator[tuple[Path, str]]:
    """Return every file with its content as it has to be."""
    texts = collected()
    yield TEMPLATE, written(texts, None, {})
    for language in LANGUAGES:
        if language != ENGLISH:
            file = FOLDER / f"{language}.po"
            yield file, written(texts, language, messages_of(file))


if __name__ == "__main__":
    for path, content in files():
        path.write_text(content, encoding="utf-8")
