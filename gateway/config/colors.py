"""Colors of the pages and their contrast, by WCAG 2.2. Pure.

The backgrounds here are those of gateway/pages/static/pages.css (a test compares them). Invariant: text in
the colors of a palette that does not `lack` contrast has one of 4.5:1 at least, in its scheme.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Scheme: TypeAlias = Literal["light", "dark"]
# WCAG 2.2, success criterion 1.4.3, for text of any size.
LEAST = 4.5
# Of each scheme: card and page, which accented text lies on.
GROUNDS: dict[Scheme, tuple[str, str]] = {"light": ("#ffffff", "#f5f6f9"), "dark": ("#181c24", "#0f1218")}
# Text on a button; the color that the accent moves to where the contrast is too low; and the one it moves to
# under the pointer.
ON: dict[Scheme, str] = {"light": "#ffffff", "dark": "#0f1218"}
_AWAY: dict[Scheme, str] = {"light": "#000000", "dark": "#ffffff"}
# How much of the accent is in the background of notices and initials.
_TINT: dict[Scheme, float] = {"light": 0.06, "dark": 0.14}
_DEEPER = 0.2
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Palette:
    """The colors that an accent implies in one scheme."""

    scheme: Scheme
    accent: str

    @property
    def on(self) -> str:
        return ON[self.scheme]

    @property
    def deep(self) -> str:
        return mixed(self.accent, _AWAY[self.scheme], _DEEPER)

    @property
    def tint(self) -> str:
        return mixed(GROUNDS[self.scheme][0], self.accent, _TINT[self.scheme])

    @property
    def contrast(self) -> float:
        """The lowest contrast of the accent with a background, or with a button's text."""
        return min(contrast(self.accent, each) for each in (*GROUNDS[self.scheme], self.tint, self.on))

    @property
    def lacks(self) -> bool:
        return self.contrast < LEAST

    def legible(self) -> Palette:
        """Return the nearest palette of this hue whose contrast suffices."""
        palettes = (
            Palette(self.scheme, mixed(self.accent, _AWAY[self.scheme], step / _STEPS))
            for step in range(_STEPS + 1)
        )
        return next(each for each in palettes if not each.lacks)


def palettes(accent: str, accent_dark: str | None) -> tuple[Palette, Palette]:
    """Return the light and the dark palette of these accents, as configured."""
    dark = Palette("dark", accent).legible() if accent_dark is None else Palette("dark", accent_dark)
    return Palette("light", accent), dark


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colors (WCAG 2.2, "contrast ratio")."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def mixed(one: str, other: str, share: float) -> str:
    """Return `one` with this share of `other`."""
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _channels(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color.removeprefix("#")))


def _luminance(color: str) -> float:
    """Return the relative luminance (WCAG 2.2, "relative luminance")."""
    red, green, blue = (_linear(channel / 255) for channel in _channels(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
