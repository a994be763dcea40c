"""Words, against uniseg, which implements UAX #29 independently of us."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uniseg.derived import alphabetic
from uniseg.wordbreak import word_break, words

from tidegate.domain.wordbreak import RUNS
from tidegate.domain.words import count_words, count_words_of


def is_new_digit(character: str) -> bool:
    """True for a digit that Python's database, which is older than uniseg's, does not know."""
    return unicodedata.category(character) == "Cn" and word_break(character).value == "Numeric"


def is_known(character: str) -> bool:
    """False for what may be a number, which this Python does not know: 3.11 has Unicode 14, 3.13 has 15.1."""
    return unicodedata.category(character) != "Cn" or alphabetic(character) or is_new_digit(character)


RUNS_OF_ONE_KIND = RUNS.split()
FIRSTS_OF_RUNS = [(run[0], chr(int(run[1:], 16))) for run in RUNS_OF_ONE_KIND]
KINDS = {
    kind: [character for of, character in FIRSTS_OF_RUNS if of == kind and is_known(character)]
    for kind in {run[0] for run in RUNS_OF_ONE_KIND}
}
SCRIPTS = (
    "aZéßñ\u0301\u0308", "'’.,:;·_-\"", "019٣५", "жЯї", "αΩ", "عربيـ\u064b", "שלוםא״׳'\"", "हिन्दीक\u093f",
    "ภาษาไทยำ",
    "中文漢", "ひらがなー", "カタカナｶﾞ゛", "한국어한", "👩\u200d👧❤\ufe0f🏽ℹⓂ", "🇩🇪🇫", " \t\n\r\u00ad\u200b",
)  # fmt: skip

mixed = st.lists(st.sampled_from(SCRIPTS).flatmap(lambda script: st.text(script, max_size=6)), max_size=6).map("".join)
hostile = st.lists(st.sampled_from(sorted(KINDS)).flatmap(lambda kind: st.sampled_from(KINDS[kind]))).map("".join)
any_text = st.text(st.characters(exclude_categories=["Cs"]).filter(is_known))
ascii_text = st.text(st.characters(max_codepoint=127)) | st.text("ab1_.,;:'\" -\n")


def is_letter_or_number(character: str) -> bool:
    if word_break(character).value in ("Extend", "Format", "ZWJ", "ExtendNumLet"):
        return False
    return alphabetic(character) or unicodedata.category(character).startswith("N") or is_new_digit(character)


def counted(text: str) -> int:
    return sum(any(map(is_letter_or_number, word)) for word in words(text))


@settings(max_examples=1000)
@given(any_text | mixed | hostile | ascii_text)
@example("ײַ'\u200d🅰ℹ")
@example("a\r\n\u0308b")
def test_the_count_is_that_of_the_annex(text: str) -> None:
    assert count_words(text) == counted(text)


@given(st.lists(mixed | ascii_text))
def test_the_words_of_texts_are_the_sum_of_those_of_each(texts: list[str]) -> None:
    assert count_words_of(texts) == count_words_of(iter(texts)) == sum(map(count_words, texts))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_run_of_the_table_counts_as_in_the_annex(kind: str) -> None:
    around = ("{0}", "a{0}a", "1{0}1", "א{0}א", "カ{0}カ", "_{0}_", "a\u200d{0}a", "a{0}\u200dℹ", "漢{0}漢")
    texts = [pattern.format(character) for character in KINDS[kind] for pattern in around]
    assert [text for text in texts if count_words(text) != counted(text)] == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        ("Write a tagline for an AI content platform.", 8),
        ("can't won’t l'été", 3),
        ("It costs 3.14 or 1,000.5 dollars.", 6),
        ("one_two __ three", 2),
        ("state-of-the-art", 4),
        ("e\u0301te\u0301", 1),
        ("Привет, мир!", 2),
        ("γειά σου Κόσμε", 3),
        ("صباح الخير", 2),
        ('צה"ל ארה״ב', 2),
        ("हिन्दी में", 2),
        ("你好世界", 4),
        ("カタカナ ひらがな", 5),
        ("한국어 단어", 2),
        ("👩‍👩‍👧 🇩🇪 ❤️ !", 0),
        ("snow 👍🏽 day", 2),
    ],
)
def test_words_are_counted_in_every_script(text: str, number: int) -> None:
    assert count_words(text) == number


@pytest.mark.parametrize("text", ["a.", "1,", "_", "'", "e\u0301", "\u200d\u0301", "👩\u200d", 'א"', "_\u0301", "a b "])
def test_a_megabyte_of_it_is_counted_in_passing(text: str) -> None:
    """Were the time quadratic, this would not end before the suite's time limit."""
    assert count_words(text * (1_000_000 // len(text))) >= 0


@settings(max_examples=300)
@given(st.lists(ascii_text | mixed))
@example(["can'", "t", "1,", "000", "_", "_a"])
def test_lines_have_the_words_of_their_texts(texts: list[str]) -> None:
    assert count_words("\n".join(texts)) == sum(map(count_words, texts))


@pytest.mark.parametrize("end", [" ", "\n", "。"])
@pytest.mark.parametrize(
    "text", ["a.", ".a", "can't", "1,000", "_", "\u0301e", "\u200dℹ", "👩\u200d", 'א"א', "カタ_", "漢字", "Ⓜé"]
)
def test_a_long_text_counts_as_its_parts_do(text: str, end: str) -> None:
    number = 200_000 // len(text)
    assert count_words((text + end) * number) == number * counted(text)
