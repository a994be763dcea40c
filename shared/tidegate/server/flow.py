"""Backpressure of one connection: neither an unread body nor an unread reply fills the memory."""

import asyncio
from collections.abc import Sequence


class Flow:
    """The transport of a connection, and where it is paused."""

    __slots__ = ("_writable", "is_reading_paused", "is_writing_paused", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.is_reading_paused = False
        self.is_writing_paused = False
        self._writable: asyncio.Event | None = None

    def pause_reading(self) -> None:
        """Read no more until `resume_reading`."""
        if not self.is_reading_paused and not self.transport.is_closing():
            self.is_reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again, if it was paused."""
        if self.is_reading_paused:
            self.is_reading_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def pause_writing(self) -> None:
        """Let writers wait: the client has not taken what was written."""
        self.is_writing_paused = True

    def resume_writing(self) -> None:
        """Let writers go on: the client has taken enough, or has gone."""
        self.is_writing_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    async def drain(self) -> None:
        """Wait until writing is not paused."""
        while self.is_writing_paused:
            self._writable = self._writable or asyncio.Event()
            await self._writable.wait()

    def write(self, parts: Sequence[bytes]) -> None:
        """Write the parts, unless the connection is closed."""
        if self.transport.is_closing():
            return
        for part in parts:
            self.transport.write(part)
