"""The upper bound of a text's tokens, against what vocabularies count, and what it costs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chat.hostile_texts import HostileText, hostile_texts
from tidegate.chat.estimate import estimate_text
from tidegate.chat.text_bound import bound_text, bound_utf8
from tidegate.chat.worst_case import PROMPT_FACTOR

MARGIN = 1.2
"""The most that a hostile text may take, as a factor of its bound. docs/LIMITS.md promises it."""


@pytest.mark.parametrize("hostile", hostile_texts(), ids=lambda hostile: hostile.name)
def test_a_hostile_text_takes_hardly_more_than_its_bound(hostile: HostileText) -> None:
    assert hostile.tokens <= MARGIN * bound_text(hostile.text)


@pytest.mark.parametrize("hostile", hostile_texts(), ids=lambda hostile: hostile.name)
def test_no_text_is_bounded_by_more_than_its_bytes(hostile: HostileText) -> None:
    assert bound_text(hostile.text) <= 1.5 * len(hostile.text.encode())


ORDINARY = {
    "English": "The committee will publish its report on the use of public money before the end of the year, and every "
    "member has promised to read it with care. Nobody expects many surprises: the numbers have been known for months. ",
    "code": "    def total(self, items: list[Item]) -> int:\n        return sum(item.price for item in items)\n",
    "JSON": '{"id": 17, "name": "Second street", "tags": ["north", "old"], "open": true, "visits": 1204},\n',
    "Russian": "Комиссия опубликует отчёт об использовании средств до конца года, и все обещали его прочесть. ",
    "Chinese": "委员会将在年底之前公布关于使用公共资金的报告，每个成员都答应认真阅读。",
}


@pytest.mark.parametrize("language", ORDINARY)
def test_ordinary_text_is_bounded_hardly_above_what_its_estimate_holds(language: str) -> None:
    text = ORDINARY[language] * 20
    assert bound_text(text) <= 1.15 * PROMPT_FACTOR * estimate_text(text)


def test_only_the_empty_text_has_no_tokens() -> None:
    assert [bound_text(text) for text in ("", "a", " ", ".", "é", "\ud800")] == [0, 1, 1, 1, 1, 3]


@given(st.text(), st.text())
def test_more_text_is_never_much_less(one: str, other: str) -> None:
    # Two words become one where they meet.
    assert bound_text(one + other) >= bound_text(one) + bound_text(other) - 4


@given(st.binary())
def test_bytes_that_are_not_text_have_a_bound_too(data: bytes) -> None:
    assert (bound_utf8(data) > 0) == bool(data)


def test_the_time_grows_with_the_size_alone() -> None:
    def seconds(text: bytes) -> float:
        start = time.process_time()
        bound_utf8(text)
        return time.process_time() - start

    texts = ["The quick brown fox. ", "你好", "q", " ", "a1"]
    for text in texts:
        megabyte = (text.encode() * 1_000_000)[:1_000_000]
        assert min(seconds(megabyte) for _ in range(3)) < 0.05
        assert min(seconds(megabyte * 4) for _ in range(2)) < 0.2
