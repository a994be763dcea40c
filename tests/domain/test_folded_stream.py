import json
import random

import pytest

from tidegate.domain.folded_stream import FoldedStream, fold, unfold

START, END = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"', b'"},"finish_reason":null}]}\n\n'
EVENTS = [b"%b%d %b" % (START, number * 7919, END) for number in range(100)]


def test_a_stream_is_folded_to_what_differs() -> None:
    folded = fold(EVENTS)
    assert folded is not None
    assert (folded.start, folded.end) == (START, b" " + END)
    assert unfold(folded) == b"".join(EVENTS)
    assert sum(map(len, folded.parts)) < sum(map(len, EVENTS)) / 10


def test_few_pieces_and_different_ones_are_not_folded() -> None:
    assert fold([]) is None
    assert fold(EVENTS[:11]) is None
    assert fold([json.dumps(random.random()).encode()[::-1] for _ in range(50)]) is None


@pytest.mark.parametrize("seed", range(200))
def test_any_pieces_are_unfolded_to_what_they_were(seed: int) -> None:
    chance = random.Random(seed)
    start, end = bytes(chance.choices(b"ab", k=chance.randrange(60))), bytes(chance.choices(b"ab", k=40))
    kinds = [start + end, start, end, start[:9], end[5:], b"", START, end + start, start + end + start + end]
    usual = [start + bytes(chance.choices(b"ab\0", k=chance.randrange(4))) + end for _ in range(60)]
    pieces = [chance.choice(kinds) for _ in range(30)] + usual + [chance.choice(kinds) for _ in range(30)]
    folded = fold(pieces)
    assert isinstance(folded, FoldedStream) == (len(start + end) >= 40)
    assert folded is None or unfold(folded) == b"".join(pieces)
