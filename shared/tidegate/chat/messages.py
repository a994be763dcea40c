"""The messages of a chat request as validated structs. Other fields of clients stay in the raw body.

Source: https://platform.openai.com/docs/api-reference/chat/create (2026), with the parts `document` and `video_url`
that OpenAI-compatible proxies add. Assistant messages are accepted as clients send them back: `content` null or a list,
`tool_calls[].index`, `function.parsed_arguments`, `refusal`, `annotations`, `audio: null`, `reasoning_details`.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct


class TextPart(Struct, frozen=True, tag_field="type", tag="text"):
    text: str


class RefusalPart(Struct, frozen=True, tag_field="type", tag="refusal"):
    refusal: str


class ImageUrl(Struct, frozen=True):
    url: str
    detail: str | None = None


class ImagePart(Struct, frozen=True, tag_field="type", tag="image_url"):
    image_url: ImageUrl


class InputAudio(Struct, frozen=True):
    data: str
    format: str


class InputAudioPart(Struct, frozen=True, tag_field="type", tag="input_audio"):
    input_audio: InputAudio


class VideoUrl(Struct, frozen=True):
    url: str


class VideoPart(Struct, frozen=True, tag_field="type", tag="video_url"):
    video_url: VideoUrl


class File(Struct, frozen=True):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Struct, frozen=True, tag_field="type", tag="file"):
    file: File


class DocumentPart(Struct, frozen=True, tag_field="type", tag="document"):
    """A document in Anthropic's format: `source {type, media_type, data | url}`."""

    source: dict[str, object]
    title: str | None = None
    context: str | None = None


Part: TypeAlias = TextPart | RefusalPart | ImagePart | InputAudioPart | VideoPart | FilePart | DocumentPart
Content: TypeAlias = str | list[Part]
NonEmptyContent: TypeAlias = str | Annotated[list[Part], Meta(min_length=1)]
"""Content of system, developer and user messages. Assistant and tool messages may have an empty list."""


class FunctionArguments(Struct, frozen=True):
    name: str
    arguments: str = ""


class AssistantToolCall(Struct, frozen=True):
    id: str
    type: str = "function"
    function: FunctionArguments | None = None
    custom: dict[str, object] | None = None


class SystemMessage(Struct, frozen=True, tag_field="role", tag="system"):
    content: NonEmptyContent
    name: str | None = None


class DeveloperMessage(Struct, frozen=True, tag_field="role", tag="developer"):
    content: NonEmptyContent
    name: str | None = None


class UserMessage(Struct, frozen=True, tag_field="role", tag="user"):
    content: NonEmptyContent
    name: str | None = None


class AssistantMessage(Struct, frozen=True, tag_field="role", tag="assistant"):
    content: Content | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[AssistantToolCall] | None = None
    function_call: FunctionArguments | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[object] | None = None


class ToolMessage(Struct, frozen=True, tag_field="role", tag="tool"):
    tool_call_id: str
    content: Content
    name: str | None = None


class FunctionMessage(Struct, frozen=True, tag_field="role", tag="function"):
    name: str
    content: Content | None = None


Message: TypeAlias = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


def message_texts(messages: list[Message]) -> list[str]:
    """All texts of the messages, in order: the input words are counted in them."""
    collected: list[str] = []
    for message in messages:
        match message.content:
            case str(text):
                collected.append(text)
            case list(parts):
                collected.extend(part.text for part in parts if isinstance(part, TextPart))
            case None:
                pass
    return collected


def count_media(messages: list[Message]) -> int:
    """The number of images, documents, recordings and videos in the messages."""
    media = 0
    for message in messages:
        if type(message.content) is list:
            media += sum(not isinstance(part, TextPart | RefusalPart) for part in message.content)
    return media
