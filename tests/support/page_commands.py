"""The shell commands shown on the pages under docs/, page by page."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
# The first words of a command in an indented block.
_PROGRAMS = (
    "aws|cognito-gateway|cp|curl|docker|echo|eval|export|git|helm|install|journalctl|kubectl|local-cognito|make|openssl"
    "|pip|pipx|printf|python|python3|rm|systemctl"
)
_COMMAND = re.compile(rf"(?:[A-Z_]+=\$\()?(?:\S*/bin/)?(?:{_PROGRAMS}) .*")
_SHELLS = {"console", "sh", "bash"}


def commands_of(page: Path) -> list[str]:
    """Return every command of a page, in order: shell blocks, and indented lines that look like commands."""
    found: list[str] = []
    fence: str | None = None
    for line in page.read_text(encoding="utf-8").splitlines():
        opening = re.match(r"\s*```(\w*)", line)
        if opening is not None:
            fence = opening[1] if fence is None else None
        elif fence == "console":
            found += [line[2:]] if line.startswith("$ ") else []
        elif fence in _SHELLS or (fence is None and line.startswith("    ") and _COMMAND.match(line[4:])):
            found += [line.strip()] if line.strip() else []
    return found


def all_commands() -> list[tuple[str, str]]:
    """Return (page, command) for all pages."""
    return [(page.name, command) for page in sorted(DOCS.glob("*.md")) for command in commands_of(page)]
