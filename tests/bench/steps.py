"""Counts the steps of Python code: each call of a function, in Python or in C, by the file that it is in."""

import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

_ROOT = str(Path(__file__).resolve().parents[2])
_SHARED = f"{_ROOT}/shared/"


class Steps:
    """Counts in all threads that start after this object, and in the one that made it, while it is `counting`.

    `by_file` are the steps since the last `start`. `longest_turn` is the most of them within one turn of the event
    loop: no other call can go on in that time.
    """

    def __init__(self) -> None:
        self.by_file: Counter[str] = Counter()
        self.longest_turn = 0
        self._turn = 0
        self._counting = False
        self._loop_thread = threading.get_ident()
        threading.setprofile(self._observe)

    def start(self) -> None:
        """Begin to count from zero."""
        self.by_file, self.longest_turn, self._turn = Counter(), 0, 0
        self._counting = True
        sys.setprofile(self._observe)

    def stop(self) -> int:
        """Stop, and return how many steps there were."""
        sys.setprofile(None)
        self._counting = False
        self.longest_turn = max(self.longest_turn, self._turn)
        return self.by_file.total()

    def by_room(self) -> dict[str, int]:
        """Return the steps by module of the gateway; "others" are those of libraries and of the measurement."""
        rooms: Counter[str] = Counter()
        for file, steps in self.by_file.items():
            rooms[file.removeprefix(_SHARED) if file.startswith(_SHARED) else "others"] += steps
        return dict(rooms)

    def _observe(self, frame: FrameType, event: str, argument: object) -> None:
        if not self._counting or event not in ("call", "c_call"):
            return
        code = frame.f_code
        self.by_file[code.co_filename] += 1
        if threading.get_ident() != self._loop_thread:
            return
        if event == "call" and code.co_name == "_run" and code.co_filename.endswith("asyncio/events.py"):
            self.longest_turn, self._turn = max(self.longest_turn, self._turn), 0
        self._turn += 1
