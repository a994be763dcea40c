"""However a provider cuts its stream, what is passed on amounts to the same answer, masked."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.policy.guardrails.given import call, chunk, guard, streamed
from tidegate.chat.assemble import CompletionAssembler
from tidegate.chat.completion import Chunk, Completion
from tidegate.domain.guardrails import Guardrail

MAIL = "jane@example.com"
RAIL = Guardrail("g", "personal", action="mask", window_characters=64)
TEXTS = st.lists(st.sampled_from(["word ", "ein Wort, ", f"{MAIL} ", " ", "\n", f" {'x' * 90} "]), max_size=12).map(
    "".join
)
ARGUMENTS = st.sampled_from(["{}", f'{{"to":"{MAIL}","n":1}}', '{"to":["a"]}', "no JSON", f"to {MAIL} "])


def pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@st.composite
def streams(draw: st.DrawFn, index: int) -> list[Chunk]:
    """One choice: it may think, speak and call tools, in pieces of any size, each delta with one or several of them."""
    size = draw(st.integers(1, 40))
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    thinks = draw(st.booleans())
    for name in ["reasoning"] * thinks + draw(st.lists(st.sampled_from(["content", "refusal"]), max_size=4)):
        deltas += [{name: piece} for piece in pieces(draw(TEXTS), size)]
    for i in range(draw(st.integers(0, 2))):
        arguments = draw(ARGUMENTS)
        first = {"index": i, "id": f"call_{i}", "type": "function", "function": {"name": "f", "arguments": ""}}
        rest = [{"index": i, "function": {"arguments": piece}} for piece in pieces(arguments, size)]
        if draw(st.booleans()):
            first = {**first, "function": {"name": "f", "arguments": arguments}}
            rest = []
        deltas += [{"tool_calls": [each]} for each in (first, *rest)]
    if draw(st.booleans()):
        pairs = zip(deltas[::2], [*deltas[1::2], {}], strict=False)
        deltas = [delta for pair in pairs for delta in _together(*pair)]
    ended = draw(st.booleans())
    last = chunk(deltas.pop(), "stop", index) if ended else chunk({}, "stop", index)
    return [*(chunk(delta, None, index) for delta in deltas), last]


def _together(one: dict[str, Any], other: dict[str, Any]) -> list[dict[str, Any]]:
    """As one delta where they say different things."""
    return [one, other] if one.keys() & other.keys() else [{**one, **other}]


def whole(chunks: list[Chunk]) -> Completion:
    assembly = CompletionAssembler()
    for each in chunks:
        assembly.add(each)
    return assembly.reply()


def mixed(first: list[Chunk], second: list[Chunk]) -> list[Chunk]:
    longest = max(len(first), len(second))
    return [each for i in range(longest) for stream in (first, second) for each in stream[i : i + 1]]


@pytest.mark.parametrize(
    "rail", [RAIL, Guardrail("g", "personal", action="mask", stream="buffer")], ids=["window", "buffer"]
)
@settings(max_examples=150, deadline=None)
@given(streams(0), streams(1))
def test_the_stream_amounts_to_the_masked_answer(rail: Guardrail, first: list[Chunk], second: list[Chunk]) -> None:
    sent = mixed(first, second)
    given_guard = guard(call(stream=True, guardrails=["g"]), rail)
    expected = asyncio.run(given_guard.check_reply(whole(sent)))
    passed = whole(asyncio.run(streamed(given_guard, *sent)))
    assert passed["choices"] == expected["choices"]
    assert MAIL not in str(passed)
