"""The looks of the pages of one configuration: the site's name, its files, its words, the links at the foot.

Invariant: it is complete or does not exist: a file that cannot be used raises GatewayError, and a reload
keeps the previous looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gateway.config.colors import Palette, palettes
from gateway.config.model import Appearance
from gateway.errors import GatewayError, NotFound, system_said
from gateway.http.answers import Answer
from gateway.pages import assets
from gateway.pages.assets import Asset
from gateway.pages.catalogue import ENGLISH, Catalogue, Forms, shipped
from gateway.pages.logo import Picture, picture
from gateway.pages.messages_file import messages
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

Content = TypeVar("Content")

_SECTION = "sign_in.appearance"
# Bytes of a logo or a style sheet: several times what they usually have. They are in the memory of every
# worker, and on the way of every first visit.
_MOST = 64 * 1024
# Bytes of the operator's texts: as many as all of ours in four languages.
_MOST_MESSAGES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Logo:
    path: str
    content_type: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Look:
    # None: the site's host name.
    name: str | None
    # Text and URL.
    links: tuple[tuple[Text, str], ...]
    files: Mapping[str, Asset] = field(repr=False)
    # Tags; the first is for readers who prefer none of them.
    languages: tuple[str, ...] = (ENGLISH,)
    # The operator's own texts, by language.
    own: Mapping[str, Mapping[str, Forms]] = field(default_factory=dict, repr=False)
    logo: Logo | None = None
    logo_dark: Logo | None = None

    def path(self, name: str) -> str:
        """Return the path of a static file, relative to the prefix."""
        return self.files[name].path

    def title(self, origin: str) -> str:
        """Return what the pages call the site with this origin."""
        return self.name or origin.partition("://")[2]

    def words(self, language: str) -> Catalogue:
        """Return the texts in one of the languages."""
        return Catalogue(language, shipped(language), self.own.get(language, {}))

    def serve(self, page: PageRequest) -> Answer:
        """Return the static file of the page's path. Raises NotFound.

        A page of another version, of this gateway or of its configuration, names a file with another
        digest: it gets the current one, which no cache keeps."""
        asset = self.files.get(assets.name_in(page.path) or "")
        if asset is None:
            raise NotFound
        return asset.answer(page, current=asset.path == page.path)


def look_of(appearance: Appearance, languages: Sequence[str] = (ENGLISH,)) -> Look:
    """Return the looks that are configured. Raises GatewayError."""
    own: Mapping[str, Mapping[str, Forms]] = {}
    if appearance.messages_file is not None:
        own = _read(f"{_SECTION}.messages_file", appearance.messages_file, messages, most=_MOST_MESSAGES)
    style = assets.built_in()["pages.css"].body.decode("utf-8")
    if appearance.accent is not None:
        style += "".join(map(_colored, palettes(appearance.accent, appearance.accent_dark)))
    if appearance.css_file is not None:
        style += _read(f"{_SECTION}.css_file", appearance.css_file, _style_sheet)
    files = {**assets.built_in(), "pages.css": assets.made("pages.css", style.encode("utf-8"))}
    links = (
        (Text("Terms"), appearance.terms_url),
        (Text("Privacy"), appearance.privacy_url),
        (Text("Support"), appearance.support_url),
    )
    return Look(
        name=appearance.name,
        links=tuple((text, url) for text, url in links if url is not None),
        logo=_logo("logo", "logo_file", appearance.logo_file, files),
        logo_dark=_logo("logo-dark", "logo_dark_file", appearance.logo_dark_file, files),
        files=files,
        languages=tuple(dict.fromkeys(languages)),
        own=own,
    )


def _logo(stem: str, key: str, file: Path | None, files: dict[str, Asset]) -> Logo | None:
    """Return the logo, and add its file."""
    if file is None:
        return None
    found, content = _read(f"{_SECTION}.{key}", file, _picture)
    name = stem + found.suffix
    files[name] = asset = assets.made(name, content)
    return Logo(asset.path, asset.content_type, found.width, found.height)


def _picture(content: bytes) -> tuple[Picture, bytes]:
    return picture(content), content


def _style_sheet(content: bytes) -> str:
    try:
        return "\n" + content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None


def _colored(palette: Palette) -> str:
    """Return the custom properties of a palette, in the scheme it is for."""
    names = {
        "accent": palette.accent,
        "accent-deep": palette.deep,
        "on-accent": palette.on,
        "tint": palette.tint,
    }
    rule = f":root {{ {' '.join(f'--{name}: {color};' for name, color in names.items())} }}\n"
    return f"@media (prefers-color-scheme: dark) {{ {rule} }}\n" if palette.scheme == "dark" else rule


def _read(key: str, file: Path, parse: Callable[[bytes], Content], *, most: int = _MOST) -> Content:
    """Return the parsed content of a bounded file. Raises GatewayError."""
    where = f"{key}: {file}"
    try:
        with file.open("rb") as opened:
            content = opened.read(most + 1)
    except OSError as error:
        raise GatewayError(f"{where}: cannot be read: {system_said(error)}") from error
    if len(content) > most:
        raise GatewayError(f"{where}: is larger than {most // 1024} KiB: use a smaller file")
    try:
        return parse(content)
    except ValueError as error:
        raise GatewayError(f"{where}: {error}") from None
