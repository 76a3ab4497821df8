"""The operator's logo: an SVG or PNG file, recognized by its content, with its size on the page. Pure.

Invariant: a logo that is returned has a ratio of width to height, so that no page shifts while it loads.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

# Pixels: the height in a page's head, and the width beyond which a logo becomes lower instead.
_HEIGHT, _WIDEST = 28, 176
_PNG = b"\x89PNG\r\n\x1a\n"
# The start of a file, where the outermost element is; comments and declarations may precede it.
_START = 4096
_SVG = re.compile(rb"<svg\b[^>]*>", re.DOTALL)
_NUMBER = rb"[\s,]+([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_VIEW_BOX = re.compile(
    rb"""\sviewBox\s*=\s*["']\s*-?[0-9.]+[\s,]+-?[0-9.]+""" + _NUMBER + _NUMBER + rb"""\s*["']"""
)


@dataclass(frozen=True, slots=True)
class Picture:
    suffix: str
    width: int
    height: int


def picture(content: bytes) -> Picture:
    """Return the kind and size of a logo. Raises ValueError with the reason."""
    if content.startswith(_PNG):
        # PNG specification: the header's chunk comes first, and begins with width and height.
        if len(content) < 24:
            raise ValueError("is a PNG that breaks off")
        return _fitted(".png", *struct.unpack(">II", content[16:24]))
    element = _SVG.search(content[:_START])
    if element is None:
        raise ValueError("is neither an SVG nor a PNG picture")
    box = _VIEW_BOX.search(element[0])
    if box is None:
        raise ValueError("is an SVG without a viewBox, which says how wide and high it is: add one")
    return _fitted(".svg", float(box[1]), float(box[2]))


def _fitted(suffix: str, width: float, height: float) -> Picture:
    if width <= 0 or height <= 0:
        raise ValueError("has a width or height of 0")
    scale = min(_HEIGHT / height, _WIDEST / width)
    return Picture(suffix, max(1, round(width * scale)), max(1, round(height * scale)))
