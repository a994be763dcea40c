"""Separates `<think>…</think>` at the start of content, as hosts of open models leave it: reasoning, not answer.

Source: https://huggingface.co/deepseek-ai/DeepSeek-R1 (the model's template), recorded replies of Together and Groq,
https://github.com/ikawrakow/ik_llama.cpp/issues/690 (the closing tag only).
"""

from tidegate.json import JsonObject

OPEN, CLOSE = "<think>", "</think>"


def extract_thinking(message: JsonObject) -> None:
    """Move thinking at the start of a complete message's content into `reasoning`, in place.

    The closing tag is enough, since some templates put the opening one into the prompt. A stream cannot know in time.
    """
    content = message.get("content")
    if not isinstance(content, str) or message.get("reasoning") or message.get("reasoning_content"):
        return
    start = content.lstrip()
    thinking, close_tag, answer = start.removeprefix(OPEN).partition(CLOSE)
    if start.startswith(OPEN) or (close_tag and OPEN not in thinking):
        message["content"] = answer.lstrip()
        message["reasoning"] = thinking.strip()


class ThinkTagParser:
    """Separates thinking from the answer in streamed content; text that may be a part of a tag is held back."""

    __slots__ = ("_has_thinking", "_held", "_state")

    def __init__(self) -> None:
        self._has_thinking = False
        self._held = ""
        self._state = "start"

    @property
    def done(self) -> bool:
        return self._state == "answer"

    def feed(self, piece: str) -> tuple[str, str]:
        """Return the thinking and the answer that are certain after `piece`."""
        text = self._held + piece
        self._held = ""
        thinking = ""
        if self._state == "start":
            stripped = text.lstrip()
            if stripped.startswith(OPEN):
                self._state, text = "thinking", stripped.removeprefix(OPEN)
            elif OPEN.startswith(stripped):
                self._held = text
                return "", ""
            else:
                self._state = "answer"
        if self._state == "thinking":
            thinking, text = self._split_at_close_tag(text)
        if self._state == "gap":
            text = text.lstrip()
            if text:
                self._state = "answer"
        return thinking, text

    def _split_at_close_tag(self, text: str) -> tuple[str, str]:
        if not self._has_thinking:
            text = text.lstrip()
        thinking, close_tag, answer = text.partition(CLOSE)
        self._has_thinking = self._has_thinking or bool(thinking)
        if close_tag:
            self._state = "gap"
            return thinking.rstrip(), answer
        tag_length = next((n for n in range(min(len(CLOSE) - 1, len(text)), 0, -1) if text.endswith(CLOSE[:n])), 0)
        certain = text[: len(text) - tag_length].rstrip()
        self._held = text[len(certain) :]
        return certain, ""

    def end(self) -> tuple[str, str]:
        """Return the thinking and the answer that were held back, at the end of the content."""
        held, self._held = self._held, ""
        return (held.rstrip(), "") if self._state == "thinking" else ("", held)
