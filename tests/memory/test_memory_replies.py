"""What only the dictionaries do: they end somewhere."""

from tests.store_worlds import Clock
from tidegate.memory.reply_store import MemoryReplyStore


async def test_the_oldest_replies_go_first() -> None:
    replies = MemoryReplyStore(Clock(), max_bytes=10)
    await replies.keep("ws_a", "1", b"12345", 60)
    await replies.keep("ws_a", "2", b"12345", 60)
    await replies.keep("ws_a", "1", b"1234", 60)
    await replies.keep("ws_a", "3", b"12345", 60)
    assert [await replies.find("ws_a", key) for key in "123"] == [b"1234", None, b"12345"]


async def test_what_is_larger_than_all_the_room_is_not_kept() -> None:
    replies = MemoryReplyStore(Clock(), max_bytes=10)
    await replies.keep("ws_a", "1", b"1", 60)
    assert not await replies.keep("ws_a", "2", bytes(11), 60)
    assert await replies.find("ws_a", "1") == b"1"
