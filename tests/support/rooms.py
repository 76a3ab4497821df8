"""The table of rooms in docs/architecture.md: every module of the gateway by its docstring's first sentence.

`python -m tests.support.rooms` (`make config`) writes it. Invariant: the table contains nothing else.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gateway"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- the table of rooms: written by `make config` from the modules' first sentences -->\n"
END = "<!-- the end of the table of rooms -->\n"


def first_sentence(path: Path) -> str:
    """Return the first sentence of the module's docstring, without the full stop and with | escaped."""
    said = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    return re.split(r"(?<=[^.])\.(?=\s|$)", said, maxsplit=1)[0].replace("|", "\\|")


def table() -> str:
    """Return the table: each room with its purpose and its modules."""
    lines = ["| room, module | what it is |", "|---|---|"]
    for path in sorted(PACKAGE.glob("*.py")):
        if not path.stem.startswith("__"):
            lines.append(f"| **`{path.name}`** | {first_sentence(path)} |")
    for room in sorted(path.parent for path in PACKAGE.rglob("__init__.py")):
        if room == PACKAGE:
            continue
        lines.append(f"| **`{room.relative_to(PACKAGE)}/`** | **{first_sentence(room / '__init__.py')}** |")
        for path in sorted(room.glob("*.py")):
            if path.stem != "__init__" and not path.stem.endswith("_pb2"):
                lines.append(f"| `{path.name}` | {first_sentence(path)} |")
    return "\n".join(lines) + "\n"


def written_again(page: str) -> str:
    """Return the page with the current table."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written_again(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
