"""Token counts without a tokenizer, for providers that report no usage and for streams that the client cut.

A token is a word, a part of a long one, a mark, or two digits: so much is alike in most byte-pair vocabularies.

Error, measured in November 2026 on recorded chat completions of sixteen providers. Answers (169, without reasoning or
tools): half are within 6 %, 95 % within 50 %, as often too low as too high. Prompts of text (512): half are within
50 %, 95 % within 350 %: the median is 31 % too high, on purpose. Where there are tools, providers add 20 to 650 tokens
of their own, so that 30 % are still too low. Media are constants, for want of their sizes; most cost less.
"""

from tidegate.chat.messages import (
    AssistantMessage,
    DocumentPart,
    FilePart,
    ImagePart,
    InputAudioPart,
    Message,
    Part,
    RefusalPart,
    TextPart,
    VideoPart,
)
from tidegate.chat.request import ChatFields, FunctionDefinition, JsonSchemaFormat
from tidegate.json import encode

PER_WORD, PER_LETTER, PER_DIGIT, PER_MARK, PER_SPACE, PER_BYTE = 0.66, 0.04, 0.45, 0.87, 0.2, 0.3
"""Tokens for what ASCII text consists of, and for each UTF-8 byte of other characters; fitted to recorded replies."""

PER_JSON = 0.75
"""JSON's marks stand together, and several of them are one token."""

PER_MESSAGE = 5
PER_TOOL = 8
PER_TOOLS = 200
PER_CALL = 10
IMAGE = 1_000
MEDIA = 2_000

_CLASSES = {
    point: "a" if chr(point).isalpha() else "0" if chr(point).isdigit() else " " if chr(point).isspace() else "."
    for point in range(128)
}
_WORDS = {ord("0"): " ", ord("."): " "}


def estimate_text(text: str) -> int:
    """About how many tokens the text is; 0 only for the empty one."""
    if not text:
        return 0
    plain = text.encode("ascii", "ignore").decode("ascii").translate(_CLASSES)
    tokens = (
        PER_WORD * len(plain.translate(_WORDS).split())
        + PER_LETTER * plain.count("a")
        + PER_DIGIT * plain.count("0")
        + PER_MARK * plain.count(".")
        + PER_SPACE * plain.count(" ")
    )
    if len(plain) < len(text):
        tokens += PER_BYTE * (len(text.encode("utf-8", "surrogatepass")) - len(plain))
    return max(1, round(tokens))


def estimate_prompt(fields: ChatFields) -> int:
    """About how many tokens the messages, tools and schemas of a request are; rather too many than too few."""
    tokens = PER_CALL + sum(PER_MESSAGE + _message(message) for message in fields.messages)
    functions = [tool.function for tool in fields.tools or () if tool.function] + (fields.functions or [])
    if functions:
        tokens += PER_TOOLS + sum(map(_function, functions))
    if isinstance(fields.response_format, JsonSchemaFormat):
        tokens += PER_TOOLS + _json(fields.response_format.json_schema.schema)
    return tokens


def _function(function: FunctionDefinition) -> int:
    return PER_TOOL + estimate_text(f"{function.name} {function.description or ''}") + _json(function.parameters)


def _json(value: object) -> int:
    return round(PER_JSON * estimate_text(encode(value).decode()))


def _message(message: Message) -> int:
    match message.content:
        case str(text):
            tokens = estimate_text(text)
        case list(parts):
            tokens = sum(map(_part, parts))
        case None:
            tokens = 0
    if isinstance(message, AssistantMessage):
        calls = [call.function for call in message.tool_calls or () if call.function]
        tokens += sum(
            PER_TOOL + estimate_text(call.name) + round(PER_JSON * estimate_text(call.arguments)) for call in calls
        )
    return tokens


def _part(part: Part) -> int:
    match part:
        case TextPart():
            return estimate_text(part.text)
        case RefusalPart():
            return estimate_text(part.refusal)
        case ImagePart():
            return IMAGE
        case InputAudioPart() | VideoPart() | FilePart() | DocumentPart():
            return MEDIA
