"""User-visible text is plain English: words that native readers stumble over do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.commands.registry import CommandLine

ROOT = Path(__file__).parents[1]

# What a technical writer would not write, and what they would.
AVOID = {
    r"mend(?:s|ed|ing)?": "fix",
    "anew": "again",
    "be had": "be fetched, be obtained",
    "told": "say what happened",
    "whoever": "anyone who, a user who",
    r"stands? by": "accept",
    "for ever": "indefinitely",
    "beats": "overrides",
    "leads into": "names",
    "somebody's": "another user's",
    r"of (?:its|their) own(?: kind)?": "separate, its own",
    "as they are": "unchanged",
    "somebody": "someone",
    r"(?:any|every|no)body's": "anyone's, everyone's, no one's",
    "which nobody": "without anyone who …",
    "what it costs": "performance, cost",
    r"what (?:becomes|became) of": "the result of",
    r"(?:no|the) way out": "egress, network access",
    r"letter for letter|to the letter": "exactly",
    r"its kin": "similar ones",
    "for good": "permanently",
    "had better": "should",
    "be rid of": "remove, close",
    "ever new": "a new one every time",
    "whose job": "who is responsible",
    r"goes? round": "bypasses",
    r"keeps? ending": "is crash-looping",
    r"(?:is|are) let in": "is accepted",
    r"makes? (?:themselves|oneself)": "create, sign up",
    r"stands? (?:beside|behind|before)": "is next to, follows, precedes",
    "in the place of": "instead of",
    r"of (?:yours|ours) alone": "separate, its own",
    "ask rarely": "reuse",
}
_FOUND = re.compile(rf"\b(?:{'|'.join(AVOID)})\b", re.IGNORECASE)

PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "config").iterdir(),
    *(ROOT / "helm/files").iterdir(),
    ROOT / "helm/templates/NOTES.txt",
    ROOT / "helm/values.yaml",
    ROOT / "local_cognito/README.md",
]


def stumbles(text: str) -> list[str]:
    return [text[max(0, at.start() - 50) : at.end() + 30] for at in _FOUND.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_plain(page: Path) -> None:
    assert stumbles(page.read_text(encoding="utf-8")) == []


def messages(path: Path) -> Iterator[str]:
    """Texts of several words in the code that are no docstrings: what is said to users and logs."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            text = node.value
            # Lua is code, though it stands in a string.
            if " " in text and "redis.call" not in text:
                yield text


def test_messages_are_plain() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {each}"
        for path in (ROOT / "gateway").rglob("*.py")
        for text in messages(path)
        for each in stumbles(text)
    }
    assert found == set()


def test_templates_are_plain() -> None:
    templates = list((ROOT / "gateway").rglob("*.html"))
    assert templates
    for template in templates:
        assert stumbles(template.read_text(encoding="utf-8")) == [], template.name


def test_help_is_plain() -> None:
    line = CommandLine()
    assert stumbles(line.parser.format_help()) == []
    for each in line.commands().values():
        assert stumbles(each.format_help()) == []


# The first words of docstrings: what a call does. A new verb is added here; anything else is rewritten.
VERBS = frozenset(
    re.findall(
        r"[A-Z][a-z]+",
        """
    Abort Accept Act Add Adopt Allow Announce Answer Apply Ask Authenticate Begin Bind Break Build Call
    Cancel Change Check Clear Close Collect Compare Complete Connect Consume Continue Count Create Decide
    Declare Decode Delete Deny Derive Do Drain Drop Enable Encode End Exclude Extend Fail Feed Fetch Find
    Flush Forget Format Generate Handle Hold Judge Keep Leave Lend Let Listen Load Log Make Mark Merge Parse
    Pass Pause Print Put Queue Raise Read Record Redeem Redirect Refresh Refuse Register Reject Release
    Reload Remember Remove Render Renew Replace Report Requeue Reset Resolve Resume Retry Return Revoke
    Round Run Send Serialise Serve Set Settle Sign Sort Split Start Stop Store Switch Take Turn Uncount Use
    Verify Wait Warn Wrap Write Yield
        """,
    )
)


def public_functions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the public functions and methods of a module that are no properties."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.ClassDef) and not each.name.startswith("_"):
            yield from public_functions(each)
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            is_property = any("property" in ast.unparse(decorator) for decorator in each.decorator_list)
            if not each.name.startswith("_") and not is_property:
                yield each


def test_docstrings_of_public_functions_start_with_a_verb() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{each.lineno}: {docstring.splitlines()[0]}"
        for path in (ROOT / "gateway").rglob("*.py")
        for each in public_functions(ast.parse(path.read_text(encoding="utf-8")))
        if (docstring := ast.get_docstring(each)) and docstring.split()[0].rstrip(".,:") not in VERBS
    }
    assert found == set()
