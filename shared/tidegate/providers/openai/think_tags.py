"""`<think>…</think>` at the start of a content, as hosts of open models leave it there: reasoning, not answer.

Source: https://huggingface.co/deepseek-ai/DeepSeek-R1 (the model's template), and replies recorded from Together
and Groq.
"""

from tidegate.json import JsonObject

OPEN, CLOSE = "<think>", "</think>"


def extract_thinking(message: JsonObject) -> None:
    """Move a leading thought of a whole message into `reasoning`, in place."""
    content = message.get("content")
    if not isinstance(content, str) or message.get("reasoning") or message.get("reasoning_content"):
        return
    start = content.lstrip()
    if start.startswith(OPEN):
        thought, _, answer = start.removeprefix(OPEN).partition(CLOSE)
        message["content"] = answer.lstrip()
        message["reasoning"] = thought.strip()


class ThinkTagParser:
    """The same for a content that comes in pieces; what may yet be a part of a tag is kept back."""

    __slots__ = ("_begun", "_held", "_place")

    def __init__(self) -> None:
        self._begun = False
        self._held = ""
        self._place = "start"

    @property
    def done(self) -> bool:
        return self._place == "answer"

    def feed(self, piece: str) -> tuple[str, str]:
        """The thought and the answer that `piece` makes certain."""
        text = self._held + piece
        self._held = ""
        thought = ""
        if self._place == "start":
            bare = text.lstrip()
            if bare.startswith(OPEN):
                self._place, text = "thinking", bare.removeprefix(OPEN)
            elif OPEN.startswith(bare):
                self._held = text
                return "", ""
            else:
                self._place = "answer"
        if self._place == "thinking":
            thought, text = self._think(text)
        if self._place == "gap":
            text = text.lstrip()
            if text:
                self._place = "answer"
        return thought, text

    def _think(self, text: str) -> tuple[str, str]:
        if not self._begun:
            text = text.lstrip()
        thought, closed, answer = text.partition(CLOSE)
        self._begun = self._begun or bool(thought)
        if closed:
            self._place = "gap"
            return thought.rstrip(), answer
        tag = next((n for n in range(min(len(CLOSE) - 1, len(text)), 0, -1) if text.endswith(CLOSE[:n])), 0)
        sure = text[: len(text) - tag].rstrip()
        self._held = text[len(sure) :]
        return sure, ""

    def end(self) -> tuple[str, str]:
        """What was kept back, at the end of the content."""
        held, self._held = self._held, ""
        return (held.rstrip(), "") if self._place == "thinking" else ("", held)
