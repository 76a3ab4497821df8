"""Schema, part four: sign-in pages for browsers, their sessions and their appearance."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gateway.config import shapes as s
from gateway.config.declare import Declared, key, nested, optional, required, section, section_of
from gateway.config.shapes import ListOf


@section
class SessionSettings(Declared):
    store: Literal["cookie", "memory", "redis"] = key(
        s.choice("cookie", "memory", "redis"),
        "cookie",
        "cookie: encrypted, in the browser. memory: lost on restart. redis: shared between replicas.",
    )
    redis_url: str | None = optional(
        s.REDIS,
        "The Redis that stores sessions. With store: cookie, it only shares sign-outs between replicas.",
        secret=True,
    )
    redis_password_file: Path | None = optional(
        s.FILE, "The Redis password, if it is not in redis_url; read again for every new connection."
    )
    secret_file: Path | None = optional(
        s.FILE,
        "Keys that seal cookies, one per line, newest first. null: generated at start; restarts end "
        "sessions.",
        example="/etc/keys/session.keys",
    )
    cookie_name: str = key(
        s.COOKIE_NAME,
        "cognito_gateway",
        "The prefix of the gateway's cookies; use another for a second gateway on the same host name.",
    )
    max_age: float = key(
        s.duration("1m", "87600h"), "12h", "How long a session lasts before the user has to sign in again."
    )


@section
class Appearance(Declared):
    name: str | None = optional(
        s.TITLE,
        "What the pages call this site. null: its host name.",
        example="Example API",
        default=None,
    )
    logo_file: Path | None = optional(
        s.FILE,
        "The logo and the browser tab's icon: SVG or PNG, at most 64 KiB. An SVG may follow the reader's "
        "color scheme itself (prefers-color-scheme).",
        example="/etc/looks/logo.svg",
        default=None,
    )
    logo_dark_file: Path | None = optional(
        s.FILE,
        "The logo on dark pages. null: logo_file on both.",
        example="/etc/looks/logo-dark.svg",
        default=None,
    )
    accent: str | None = optional(
        s.COLOR,
        "The color of buttons, links and focus on light pages; white text on it, and it on the pages, must "
        "have a contrast of 4.5:1. null: the built-in blue.",
        example="'#0b6e4f'",
        default=None,
    )
    accent_dark: str | None = optional(
        s.COLOR,
        "The same on dark pages. null: accent, as light as a contrast of 4.5:1 requires.",
        example="'#5ad1a8'",
        default=None,
    )
    css_file: Path | None = optional(
        s.FILE,
        "A style sheet that follows the built-in one, at most 64 KiB. It loads nothing from other sites.",
        example="/etc/looks/pages.css",
        default=None,
    )
    messages_file: Path | None = optional(
        s.FILE,
        "Your own words for texts of the pages: YAML or JSON, language: {English text: your text}, at most "
        "256 KiB.",
        example="/etc/looks/messages.yaml",
        default=None,
    )
    terms_url: str | None = optional(
        s.WEB_PAGE,
        "Terms of service, linked at the foot of every page.",
        default=None,
        example="https://example.com/terms",
    )
    privacy_url: str | None = optional(
        s.WEB_PAGE,
        "The privacy notice, linked at the foot of every page.",
        default=None,
        example="https://example.com/privacy",
    )
    support_url: str | None = optional(
        s.WEB_PAGE,
        "Where people get help, linked at the foot of every page.",
        default=None,
        example="https://example.com/help",
    )


@section
class Provider(Declared):
    name: str = required(
        s.PROVIDER_NAME,
        "The provider's name in the user pool (console: Social and external providers), exactly.",
        example="Google",
    )
    label: str | None = optional(
        s.TITLE, "The text of its button. null: Continue with NAME.", example="Sign in with Example SSO"
    )


@section
class SignIn(Declared):
    enabled: bool = key(s.BOOLEAN, "true", "false: no pages; browsers get 401 like API clients.")
    prefix: str = key(
        s.PREFIX,
        "/oauth2",
        "Paths under this prefix belong to the gateway and are never proxied, even with the pages off.",
    )
    auth_flow: Literal["USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH"] = key(
        s.choice("USER_PASSWORD_AUTH", "USER_SRP_AUTH", "USER_AUTH"),
        "USER_PASSWORD_AUTH",
        "The sign-in flow for passwords; the app client must allow it.",
    )
    sign_up: Literal["auto", "never"] = key(
        s.choice("auto", "never"), "auto", "auto: as the pool allows. never: the page is hidden."
    )
    sign_up_attributes: tuple[str, ...] = key(
        ListOf(s.ATTRIBUTE),
        (),
        "Attributes the sign-up form asks for beyond those the pool requires; it accepts no others.",
        example="[given_name, 'custom:company']",
    )
    pages: Literal["own", "managed"] = key(
        s.choice("own", "managed"),
        "own",
        "Which pages sign people in where a user pool has a domain: the gateway's own, or Cognito's managed "
        "login.",
    )
    providers: tuple[Provider, ...] = key(
        ListOf(section_of(Provider)),
        (),
        "Social, OIDC and SAML providers of the pool that our own form shows buttons for. They sign people "
        "in through the pool's domain.",
    )
    user_context: bool = key(
        s.BOOLEAN,
        "false",
        "true: send each user's own address to Cognito, subject to listen.trusted_proxies, for threat "
        "protection. The app client needs a secret and the setting EnablePropagateAdditionalUserContextData.",
    )
    show_tokens: bool = key(
        s.BOOLEAN, "true", "Whether the pages show users their own access token and AWS credentials."
    )
    languages: tuple[str, ...] = key(
        ListOf(s.LANGUAGE, least=1),
        ("en",),
        "The languages of the pages. Each reader gets the one that the browser prefers, or chooses another; "
        "the first one is for those who prefer none of them.",
        example="[en, de, es, fr, ja, pt-BR, zh-Hans]",
    )
    appearance: Appearance = nested(Appearance, "The pages' looks: docs/pages.md#appearance has the details.")
    session: SessionSettings = nested(SessionSettings, "Sessions of signed-in browsers.")
    state_dir: Path | None = optional(
        s.FOLDER, "Where the set-up page stores its settings. null: it shows the YAML and writes nothing."
    )
    admin_groups: tuple[str, ...] = key(
        ListOf(s.GROUP),
        (),
        "Users in any of these groups may change stored settings on the set-up page. Empty: nobody.",
        example="[admins]",
    )
