"""What is refused here must be what Cognito refuses; its stand-in is asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pages import password_rules
from gateway.pages.password_rules import Policy, broken, rules
from local_cognito.errors import AwsError
from local_cognito.passwords import PasswordPolicy, check_policy

policies = st.builds(
    Policy,
    length=st.integers(6, 20),
    uppercase=st.booleans(),
    lowercase=st.booleans(),
    number=st.booleans(),
    symbol=st.booleans(),
)
passwords = st.text(
    st.sampled_from("abzABZ019^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-éß "), min_size=1, max_size=24
)


@given(policies, passwords)
def test_the_verdict_is_cognitos(policy: Policy, password: str) -> None:
    theirs = PasswordPolicy(
        minimum_length=policy.length,
        uppercase=policy.uppercase,
        lowercase=policy.lowercase,
        numbers=policy.number,
        symbols=policy.symbol,
    )
    try:
        check_policy(theirs, password)
    except AwsError:
        assert broken(policy, password) is not None
    else:
        assert broken(policy, password) is None


@given(passwords)
def test_without_a_policy_only_universal_rules_apply(password: str) -> None:
    assert (broken(None, password) is None) == (password == password.strip())


def test_a_space_inside_is_a_symbol() -> None:
    assert broken(Policy(), "Correct horse 1") is None


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("", "Enter a password"),
        ("a" * 257, "The password is longer than 256 characters"),
        (
            "short",
            "The password still needs 8 characters or more, an uppercase letter, a number and a symbol",
        ),
        ("Long-enough-but", "The password still needs a number"),
        ("Correct-Horse-1 ", "A password can't begin or end with a space"),
        (" Correct-Horse-1", "A password can't begin or end with a space"),
    ],
)
def test_the_sentence_says_what_is_missing(password: str, sentence: str) -> None:
    assert broken(Policy(), password) == sentence


def test_the_rules_shown_are_the_pools() -> None:
    shown = rules(Policy(length=12, symbol=False))
    assert [(rule.kind, rule.least) for rule in shown.items] == [
        ("length", 12),
        ("uppercase", None),
        ("lowercase", None),
        ("number", None),
    ]
    assert rules(None).heading != shown.heading


def test_the_script_counts_the_same_symbols() -> None:
    script = (Path(password_rules.__file__).with_name("static") / "pages.js").read_text()
    match = re.search(r"const SYMBOL = /\[(.*)\]\|", script)
    assert match
    unescaped = re.sub(r"\\(.)", r"\1", match[1])
    assert set(unescaped) == password_rules.SYMBOLS
