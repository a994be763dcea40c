import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidegate.domain.guardrails import PERSONAL_ENTITIES, SECRET_ENTITIES, Finding, Guardrail
from tidegate.policy.guardrails import secrets, words
from tidegate.policy.guardrails.masking import mask_text
from tidegate.policy.guardrails.window import MAX_HELD_CHARACTERS, Blocked, GuardrailFinding, Window

MASK = Guardrail("m", "personal", action="mask")
BLOCK = Guardrail("b", "words")
LISTED = words.build_word_list(["acme", "top secret"])
KEY = f"-----{'BEGIN'} PRIVATE KEY-----\n" + "A" * 400 + f"\n-----{'END'} PRIVATE KEY-----"


def findings(text: str) -> list[Finding]:
    return list(secrets.find_entities((*PERSONAL_ENTITIES, *SECRET_ENTITIES), text))


async def personal(text: str) -> Sequence[GuardrailFinding]:
    return [(MASK, finding) for finding in findings(text)]


async def listed(text: str) -> Sequence[GuardrailFinding]:
    return [(BLOCK, finding) for finding in words.find_words(LISTED, text)]


async def passed(window: Window, pieces: Sequence[str]) -> list[str]:
    return [*[await window.add(piece) for piece in pieces], await window.finish()]


def cut(text: str, sizes: Sequence[int]) -> list[str]:
    pieces: list[str] = []
    for size in sizes:
        pieces.append(text[:size])
        text = text[size:]
    return [*pieces, text]


PARTS = [
    "a ",
    "jane@example.com",
    ", ",
    "4111 1111 1111 1111",
    " x",
    "DE89 3704 0044 0532 0130 00",
    ".",
    "\n",
    KEY,
    "é ",
]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PARTS), max_size=20), st.lists(st.integers(0, 90), max_size=40), st.integers(80, 200))
@example(["a ", KEY, " x"], [1] * 40, 80)
@example(["jane@example.com", KEY, "jane@example.com"], [21, 90, 90, 90, 90, 90], 80)
def test_however_a_text_is_cut_the_same_is_masked(parts: list[str], sizes: list[int], lag: int) -> None:
    text = "".join(parts)
    whole = mask_text(text, findings(text))
    assert "".join(asyncio.run(passed(Window(personal, lag), cut(text, sizes)))) == whole


async def test_nothing_is_passed_on_before_the_window_has_gone_over_it() -> None:
    window = Window(personal, 80)
    assert await window.add("word " * 20) == "word " * 4
    assert await window.add("jane@exam") == ""
    assert await window.add("ple.com and more") == "word " * 5
    assert await window.add(" words" * 15) == "word " * 11 + "[EMAIL] and more words wor"
    assert await window.finish() == "ds" + " words" * 13


async def test_a_word_across_two_chunks_is_found_before_any_of_it_is_passed_on() -> None:
    window = Window(listed, 16)
    assert await window.add("this is all quite harmless, ") == "this is all "
    assert await window.add("but top se") == "quite harm"
    with pytest.raises(Blocked) as caught:
        await window.add("cret, and then some more")
    assert caught.value.guardrail is BLOCK


async def test_a_listed_word_that_goes_on_is_another_word() -> None:
    assert "".join(await passed(Window(listed, 16), ["made by acme", "ist painters, who are many"])) == (
        "made by acmeist painters, who are many"
    )


async def test_what_is_found_at_the_end_of_the_stream_counts() -> None:
    window = Window(listed, 16)
    assert await window.add("made by acme") == ""
    with pytest.raises(Blocked):
        await window.finish()


async def test_what_does_not_end_cannot_be_masked() -> None:
    window = Window(personal, 80)
    await window.add(KEY[:200])
    with pytest.raises(Blocked):
        for _ in range(MAX_HELD_CHARACTERS // 1000 + 1):
            await window.add("A" * 1000)


async def test_masks_are_counted() -> None:
    window = Window(personal, 80)
    await passed(window, ["a@example.com, b@example.com ", "c@example.com" + " " * 100])
    assert window.masks == 3
