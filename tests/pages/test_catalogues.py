"""The catalogues are complete, well-formed and free of English; the operator's texts come before them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.config import shapes
from gateway.pages import po
from gateway.pages.catalogue import ENGLISH, FOLDER, LANGUAGES, Catalogue, shipped
from gateway.pages.messages_file import broken, messages, placeholders
from gateway.texts import Text
from tests.support.catalogues import files, messages_of

TRANSLATED = sorted(set(LANGUAGES) - {ENGLISH})
# What is the same in English by nature, or in one language by its usage.
_SAME = {
    "{first}, {next}",
    ", ",
    "(optional)",
    "Code",
    "Passkey",
    "Passkeys",
    "Error: {title}",
    "Region",
    "Support",
    "Token",
    "Website",
    "in {time}",
}
_LANGUAGES = ("de", "es", "fr", "ja", "pt-BR", "zh-Hans")
# A concept in English, and its term in each language (a regular expression, for endings).
_TERMS = {
    english: dict(zip(_LANGUAGES, terms, strict=True))
    for english, *terms in (
        (
            "passkey",
            "passkey",
            "claves? de acceso",
            "clés? d’accès",
            "パスキー",
            "chaves? de acesso",
            "通行密钥",
        ),
        (
            r"\bauthenticator",
            "authenticator-app",
            "aplicación de autenticación",
            "application d’authentification",
            "認証アプリ",
            "aplicativo autenticador",
            "身份验证器应用",
        ),
        (
            "second step",
            "bestätigung in zwei schritten",
            "verificación en dos pasos",
            "validation en deux étapes",
            "2 段階認証",
            "verificação em duas etapas",
            "两步验证",
        ),
        (
            "sign out|signed out",
            r"abgemeldet|abmelden|melden .* ab\b",
            "cerra|cierr",
            "déconnect",
            "サインアウト",
            "sair|saiu|saia",
            "退出登录",
        ),
        ("sign in|sign-in", "meld", "sesión", "conne(ct|x)", "サインイン", "login", "登录"),
        (r"(?<!QR )(?<!country )(?<!\{)\bcode", "code", "código", "code", "コード", "código", "验证码|代码"),
        ("password", "passwort", "contraseña", "mot de passe", "パスワード", "senha", "密码"),
        (
            "user pool",
            "benutzerpool",
            "grupo de usuarios",
            "groupe d’utilisateurs",
            "ユーザープール",
            "grupo de usuários",
            "用户池",
        ),
        (
            "app client",
            "app-client",
            "clientes? de aplicación",
            "clients? d’application",
            "アプリケーションクライアント",
            "clientes? de aplicação",
            "应用程序客户端",
        ),
        (
            "access token",
            "zugriffstoken",
            "token de acceso",
            "jeton d’accès",
            "アクセストークン",
            "token de acesso",
            "访问令牌",
        ),
        (r"\bemail(?! me)", "e-mail", "correo electrónico", "e-mail", "E メール", "e-mail", "电子邮件"),
    )
}
_WORDS = re.compile(r"\b(?:the|your|you|with|password|sign|enter|again|this|please)\b", re.IGNORECASE)


def test_the_files_are_those_that_make_config_writes() -> None:
    stale = [file.name for file, content in files() if file.read_text(encoding="utf-8") != content]
    assert not stale, "run `make config`"


def test_every_language_of_the_configuration_has_a_catalogue() -> None:
    assert {*LANGUAGES} == {*shapes.LANGUAGE.json["enum"]}
    assert {file.stem for file in FOLDER.glob("*.po")} == {*TRANSLATED}


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_with_its_placeholders(language: str) -> None:
    missing, wrong = [], []
    for message in messages_of(FOLDER / f"{language}.po").values():
        if not message.translated:
            missing.append(message.id)
            continue
        wanted = placeholders(message.other or message.id)
        for form in message.forms:
            if said := broken(form, wanted, counted=message.other is not None):
                wrong.append(said)
    assert not missing, "translate them in gateway/pages/languages"
    assert not wrong


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_english_is_left_by_accident(language: str) -> None:
    left = [
        (message.id, form)
        for message in messages_of(FOLDER / f"{language}.po").values()
        for form in message.forms
        if (form == message.id and message.id not in _SAME) or _WORDS.search(form)
    ]
    assert not left


@pytest.mark.parametrize("language", ["ja", "zh-Hans"])
def test_sentences_end_with_the_full_stop_of_their_script(language: str) -> None:
    forms = [form for each in shipped(language).values() for form in each]
    assert not [form for form in forms if re.search(r"[^\x00-\x7f][.,?!:;]", form)]


def test_french_keeps_its_signs_with_their_words() -> None:
    forms = [form for each in shipped("fr").values() for form in each]
    # An address such as eu-central-1:0000 is no sentence.
    assert not [form for form in forms if re.search(r"[^\u00a0\d][;?!]|[^\u00a0\d]:(?!\d)|'", form)]


@pytest.mark.parametrize("language", TRANSLATED)
def test_each_concept_has_one_term(language: str) -> None:
    other = {
        (message.id, form)
        for english, terms in _TERMS.items()
        for message in messages_of(FOLDER / f"{language}.po").values()
        if re.search(english, message.id, re.IGNORECASE)
        for form in message.forms
        if not re.search(terms[language], form, re.IGNORECASE)
    }
    assert not other


@pytest.mark.parametrize("language", TRANSLATED)
def test_spaces_at_the_ends_are_those_of_the_text(language: str) -> None:
    forms = [form for text, each in shipped(language).items() if text == text.strip() for form in each]
    assert not [form for form in forms if form != form.strip()]


@pytest.mark.parametrize(("language", "forms"), [("en", 2), ("fr", 2), ("ja", 1)])
def test_a_number_decides_which_plural_is_said(language: str, forms: int) -> None:
    words = Catalogue(language, shipped(language), {})
    said = {words.say(Text.counted("in a second", "in {count} seconds", count)) for count in (1, 5)}
    assert len(said) == 2
    assert LANGUAGES[language].plurals == forms


def test_zero_is_singular_in_french_and_plural_in_german() -> None:
    assert (LANGUAGES["fr"].plural(0), LANGUAGES["de"].plural(0)) == (0, 1)


def test_texts_in_texts_are_translated_and_names_are_not() -> None:
    listed = Text("{first} and {last}", first=Text("a number"), last=Text("a symbol"))
    said = Text("The password still needs {missing}", missing=listed)
    assert said == "The password still needs a number and a symbol"
    assert (
        Catalogue("de", shipped("de"), {}).say(said)
        == "Dem Passwort fehlt noch: eine Ziffer und ein Sonderzeichen"
    )
    sent = Text("We sent an email to {address}.", address="Sign in")
    assert "Sign in" in Catalogue("de", shipped("de"), {}).say(sent)


def test_a_text_survives_the_way_through_a_cookie() -> None:
    said = Text.counted("in a second", "in {count} seconds", 3)
    opened = Text.unpacked(json.loads(json.dumps(said.packed())))
    assert (opened, opened.id, opened.other, opened.values) == (said, said.id, said.other, said.values)


def test_a_po_file_is_read_as_gettext_does() -> None:
    text = (
        'msgid ""\nmsgstr "Language: de\\n"\n\n#, fuzzy\nmsgid "one"\nmsgstr "eins"\n\n'
        'msgid "t"\n"wo \\"x\\""\nmsgstr ""\n"zwei"\n\n#~ msgid "old"\n#~ msgstr "alt"\n\n'
        'msgid "three"\nmsgid_plural "threes"\nmsgstr[0] "drei"\nmsgstr[1] "dreie"\n'
    )
    header, one, two, three = po.read(text)
    assert (header.id, one.translated) == ("", False)
    assert (two.id, two.forms) == ('two "x"', ["zwei"])
    assert (three.other, three.forms) == ("threes", ["drei", "dreie"])


def test_a_broken_po_file_names_the_line() -> None:
    with pytest.raises(ValueError, match="line 2"):
        po.read('msgid "one"\nmsgstr eins\n')


# --- the operator's texts ---


def test_own_texts_come_first() -> None:
    own = messages(b"de: {Sign in: Einloggen}\nen: {Sign in: Log in}\n")
    assert Catalogue("de", shipped("de"), own["de"]).say(Text("Sign in")) == "Einloggen"
    assert Catalogue("de", shipped("de"), own["de"]).say(Text("Sign out")) == "Abmelden"
    assert Catalogue("en", {}, own["en"]).say(Text("Sign in")) == "Log in"


def test_own_texts_may_be_json() -> None:
    own = messages(json.dumps({"de": {"in a second": ["gleich", "in {count} s"]}}).encode())
    assert (
        Catalogue("de", {}, own["de"]).say(Text.counted("in a second", "in {count} seconds", 2)) == "in 2 s"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("de: {Sing in: Einloggen}", "line 1: unknown text 'Sing in': did you mean 'Sign in'?"),
        ("zh: {Sign in: x}", "unknown language 'zh': known here: de, en, es, fr, pt-BR, ja, zh-Hans"),
        ("pt-br: {Sign in: x}", "did you mean 'pt-BR'?"),
        (
            "de:\n  'Request {id}': 'Anfrage {idd}'",
            "line 2: 'Anfrage {idd}': unknown placeholder {idd}: did you mean 'id'?",
        ),
        ("de:\n  'Request {id}': Anfrage", "the placeholder {id} is missing"),
        ("de:\n  'Request {id}': 'Anfrage {id.x}'", "braces are for placeholders"),
        ("de:\n  'Request {id}': 'Anfrage {id'", "braces are for placeholders"),
        ("de:\n  Sign in: '{{x}}'", "braces are for placeholders"),
        ("de:\n  in a second: gleich", "has to be a list of 2, one for each plural"),
        ("ja:\n  in a second: [a, b]", "has to be a list of 1"),
        ("de: {Sign in: ''}", "has to be a text"),
        ("de: {Sign in: [a]}", "has to be a text"),
        ("de: text", "has to be language:"),
        ("de: {Sign in: a, Sign in: b}", "'Sign in' comes twice"),
        ("de: {", "line"),
    ],
)
def test_a_mistake_in_own_texts_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        messages(text.encode())


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert messages(b"") == {}
