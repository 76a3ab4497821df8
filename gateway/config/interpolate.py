"""Interpolation: `${NAME}` and `${NAME:-default}` become the environment's values; `$$` is one dollar sign.

It happens after the YAML is parsed, so a variable's value can never add a key or change the structure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(
    r"\$\$"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<fallback>:-(?P<default>[^}]*))?\}"
    r"|(?P<broken>\$\{[^}]*\}?)"
)


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with every reference resolved.

    As in a shell, the default also replaces a variable that is set but empty. Raises ValueError with one
    sentence per invalid reference.
    """
    mistakes: list[str] = []

    def resolve(match: re.Match[str]) -> str:
        if match["broken"] is not None:
            mistakes.append(
                # Not repeated: it may be part of a password.
                "what begins with ${ is not a reference: write ${NAME} or ${NAME:-default}, or $${ for itself"
            )
            return ""
        name = match["name"]
        if name is None:
            return "$"
        value = environ.get(name)
        if match["fallback"] is not None:
            return value or match["default"]
        if value is None:
            mistakes.append(
                f"the environment variable {name} is not set: set it, or write ${{{name}:-default}}"
            )
        return value or ""

    resolved = _REFERENCE.sub(resolve, text)
    if mistakes:
        raise ValueError("; ".join(dict.fromkeys(mistakes)))
    return resolved
