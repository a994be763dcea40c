"""The pieces of replies in a trace: all of them until a limit is reached, and nothing after it."""

import random

import pytest

from tidegate.pipeline import trace_attempt
from tidegate.pipeline.trace_attempt import RepliesRoom


@pytest.mark.parametrize("seed", range(100))
def test_pieces_are_kept_until_the_first_limit(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    max_bytes, max_pieces = chance.choice([0, 1, 50, 3_000]), chance.choice([0, 1, 7, 40])
    monkeypatch.setattr(trace_attempt, "MAX_REPLY_BYTES", max_bytes)
    monkeypatch.setattr(trace_attempt, "MAX_PIECES", max_pieces)
    monkeypatch.setattr(trace_attempt, "LOOK_BYTES", chance.choice([1, 20, 64 * 1024]))
    looks: list[bool] = []
    room = RepliesRoom(looks.append)
    replies = [room.open_reply(), room.open_reply()]
    room_bytes, room_pieces = max_bytes, max_pieces
    for number in range(60):
        reply, size = chance.choice(replies), chance.choice([1, 2, 10, 200])
        expected = min(size, room_bytes) if room_pieces else 0
        room_bytes, room_pieces = room_bytes - expected, room_pieces - 1 if expected else 0
        if size <= room.left:
            room.left -= size
            assert expected == size, number
        else:
            assert room.take(size) == expected, number
        if expected:
            reply.append(b"a" * expected)
    assert sorted(looks) == looks  # True from the first time on that nothing more is kept
