import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.guardrails import words
from tidegate.policy.guardrails.masking import mask_text

LISTED = words.build_word_list(["Acme", "top secret", "Straße", "e-mail", "秘密", "re", "हिन्दी"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ACME and acme's", "[BLOCKED] and [BLOCKED]'s"),
        ("a TOP\n secret plan", "a [BLOCKED] plan"),
        ("STRASSE", "[BLOCKED]"),
        ("an e-mail or e mail", "an [BLOCKED] or [BLOCKED]"),
        ("Ａｃｍｅ", "[BLOCKED]"),
        ("Ac\u200bme and A\u00adcme", "[BLOCKED] and [BLOCKED]"),
        ("これは秘密です。秘密", "これは[BLOCKED]です。[BLOCKED]"),
        ("re: it", "[BLOCKED]: it"),
        ("यह हिन्दी है", "यह [BLOCKED] है"),
    ],
)
def test_listed_words_are_found_however_they_are_written(text: str, expected: str) -> None:
    assert mask_text(text, words.find_words(LISTED, text)) == expected


@pytest.mark.parametrize("text", ["Acmeist", "top of the secret", "top", "email", "", "rest", "密秘", "हिन्द"])
def test_other_words_are_left_alone(text: str) -> None:
    assert mask_text(text, words.find_words(LISTED, text)) == text


def test_a_phrase_at_the_end_of_the_text_that_is_not_complete_is_none() -> None:
    assert list(words.find_words(LISTED, "this is top")) == []


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("acme", True),
        ("e-mail", True),
        ("हिन्दी", True),
        ("C++", False),
        ("", False),
        ("\u200b", False),
        ("密", True),
        ("!", False),
    ],
)
def test_a_word_begins_and_ends_like_one(word: str, expected: bool) -> None:
    assert words.is_searchable(word) is expected


_PIECES = [
    "Acme",
    "acmeist",
    "top",
    " secret",
    "\n",
    "STRASSE",
    "\u200b",
    "秘",
    "密",
    "re",
    "e-",
    "mail",
    "\0",
    "x",
]
_WORDS = ["Acme", "top secret", "Straße", "e-mail", "秘密", "re", "हिन्दी", "one", "two", "three", "four", "five"]


@given(st.lists(st.sampled_from(_WORDS), unique=True), st.lists(st.sampled_from(_PIECES)).map("".join))
def test_a_text_has_words_if_any_is_found(listed: list[str], text: str) -> None:
    word_list = words.build_word_list(listed)
    assert words.has_words(word_list, text) == bool(list(words.find_words(word_list, text)))
    # A text that is not in ASCII is searched at once.
    assert words.has_words(word_list, text) == bool(list(words.find_words(word_list, f"{text} ä")))
