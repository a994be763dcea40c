"""A request for moderations: a text, a list of texts, or one input of several parts, such as a text and its image.

Source: https://platform.openai.com/docs/api-reference/moderations/create (2026-11).
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from tidegate.domain.call import CallOf
from tidegate.domain.operation import Text
from tidegate.json import Json, JsonObject
from tidegate.texts.fields import TextsFields, convert
from tidegate.texts.request import TextsRequest

MAX_INPUTS = 1_024
DEFAULT_MODEL = "omni-moderation-latest"
"""The model of a request without one, as at OpenAI."""


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    text: str


class ImageUrl(Struct, frozen=True):
    url: str


class ImagePart(Struct, frozen=True, tag_field="type", tag="image_url"):
    image_url: ImageUrl


class ModerationFields(TextsFields, frozen=True, kw_only=True):
    """The fields that the gateway validates, each by type and range; null means absent."""

    input: str | Annotated[list[str | TextPart | ImagePart], Meta(min_length=1, max_length=MAX_INPUTS)]


class ModerationRequest(TextsRequest, frozen=True):
    """A request for a verdict on each of its texts, or on all of its parts together."""

    fields: ModerationFields

    @classmethod
    def parse_fields(cls, body: JsonObject) -> ModerationFields:
        return convert({"model": DEFAULT_MODEL, **body}, ModerationFields)

    @classmethod
    def build(cls, body: JsonObject, sent_bytes: int) -> "ModerationRequest":
        return cls(cls.parse_fields(body), {"model": DEFAULT_MODEL, **body}, sent_bytes)

    @property
    def has_parts(self) -> bool:
        """True if the input is one of several parts, which may be images."""
        return not isinstance(self.fields.input, str) and any(not isinstance(each, str) for each in self.fields.input)

    def texts(self) -> Sequence[Text]:
        return list(_texts(self.fields.input))

    def body_with_texts(self, texts: Sequence[str]) -> JsonObject:
        if isinstance(self.fields.input, str):
            return {**self.body, "input": texts[0]}
        sent = self.body["input"]
        parts = sent if isinstance(sent, list) else []
        return {**self.body, "input": [_with_text(part, text) for part, text in zip(parts, texts, strict=True)]}


ModerationCall: TypeAlias = CallOf[ModerationRequest]
"""A call that asks for moderations."""


def _texts(value: str | list[str | TextPart | ImagePart]) -> Iterator[Text]:
    if isinstance(value, str):
        yield Text(value, "input")
        return
    for index, each in enumerate(value):
        match each:
            case str():
                yield Text(each, f"input[{index}]")
            case TextPart(text=text):
                yield Text(text, f"input[{index}].text")
            case ImagePart():
                yield Text(each.image_url.url, f"input[{index}].image_url.url", kind="encoded")


def _with_text(part: Json, text: str) -> Json:
    match part:
        case str():
            return text
        case {"type": "text", **others}:
            return {**others, "type": "text", "text": text}
        case _:
            return part
