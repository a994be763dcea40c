"""The upper bound of a body's input tokens: its texts in any field, and its media by kind."""

import base64
import json
import time
from typing import Any

import pytest

from tidegate.chat.body_bound import bound_body
from tidegate.chat.media_bound import (
    AUDIO_TOKENS,
    IMAGE_TOKENS,
    LARGE_IMAGE_TOKENS,
    OFFICE_TOKENS,
    PAGE_TOKENS,
    REMOTE_TOKENS,
    VIDEO_TOKENS,
)
from tidegate.chat.text_bound import bound_text
from tidegate.domain.usage import TokenCounts
from tidegate.json import encode

TEXT = "Every string of a body is read by the model, or may be. " * 300


def png(width: int, height: int, size: int = 3_000) -> bytes:
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return head + bytes(size)


def jpeg(width: int, height: int) -> bytes:
    frame = b"\xff\xc0\0\x11\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return b"\xff\xd8\xff\xe1\0\x0aExif\0\0\0\0" + frame + bytes(3_000)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + bytes(3_000)


def webp(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + size + bytes(3_000)


WAV = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0" + (24_000).to_bytes(4, "little")
WAV_RATE, WAV_BITS = (48_000).to_bytes(4, "little"), b"\2\0\x10\0"
PDF = b"%PDF-1.4\n" + b"1 0 obj <</Type /Page /Parent 3 0 R>> <</Type /Pages /Count 2>> <</Type/Page>> " + bytes(9_000)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def openai(part: Any) -> Any:
    return {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, part]}]}


def uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{encoded(data)}"


def bodies(media_type: str, data: bytes) -> dict[str, Any]:
    """A medium in each dialect."""
    kind, _, format = media_type.partition("/")
    block = "document" if kind in ("application", "text") else kind
    anthropic = {"type": block, "source": {"type": "base64", "media_type": media_type, "data": encoded(data)}}
    converse = {block: {"format": format, "source": {"bytes": encoded(data)}}}
    gemini = {"inlineData": {"mimeType": media_type, "data": encoded(data)}}
    name = "image_url" if kind == "image" else "file_data"
    part = {"type": "input_image" if kind == "image" else "input_file", name: uri(media_type, data)}
    return {
        "image_url": openai({"type": "image_url", "image_url": {"url": uri(media_type, data)}}),
        "image_url text": openai({"type": "image_url", "image_url": uri(media_type, data)}),
        "file": openai({"type": "file", "file": {"filename": "a", "file_data": uri(media_type, data)}}),
        "anthropic": openai(anthropic),
        "anthropic tool result": openai({"type": "tool_result", "tool_use_id": "t", "content": [anthropic]}),
        "converse": openai(converse),
        "converse tool result": openai({"toolResult": {"toolUseId": "t", "content": [converse]}}),
        "responses": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}, part]}]},
        "responses tool result": {"input": [{"type": "function_call_output", "call_id": "c", "output": [part]}]},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}, gemini]}]},
        "gemini tool result": {"contents": [{"parts": [{"functionResponse": {"name": "f", "parts": [gemini]}}]}]},
    }


def bound(body: Any) -> TokenCounts:
    return bound_body(encode(body))


@pytest.mark.parametrize("dialect", bodies("image/png", b""))
@pytest.mark.parametrize(
    ("media_type", "data", "kind", "tokens"),
    [
        ("image/png", png(64, 64), "image", IMAGE_TOKENS),
        ("image/png", png(1_500, 1_200), "image", 3_600),
        ("image/jpeg", jpeg(1_500, 1_200), "image", 3_600),
        ("image/gif", gif(1_500, 1_200), "image", 3_600),
        ("image/webp", webp(1_500, 1_200), "image", 3_600),
        ("image/png", png(9_000, 9_000), "image", LARGE_IMAGE_TOKENS),
        ("audio/mpeg", b"ID3" + bytes(9_000), "audio", AUDIO_TOKENS),
        ("audio/mpeg", b"ID3" + bytes(400_000), "audio", 3_201),
        ("audio/wav", WAV + WAV_RATE + WAV_BITS + bytes(48_000 * 60), "audio", 1_921),
        ("audio/wav", WAV + b"\xff\xff\xff\xff" + WAV_BITS + bytes(48_000 * 60), "audio", 1_921),
        ("video/webm", b"\x1aE\xdf\xa3" + bytes(9_000), "other", VIDEO_TOKENS),
        ("application/pdf", PDF, "other", 2 * PAGE_TOKENS),
        ("application/pdf", b"%PDF-1.7 /ObjStm" + bytes(100_000), "other", 4 * PAGE_TOKENS),
        ("application/docx", b"PK\3\4" + bytes(5_000), "other", OFFICE_TOKENS),
        ("application/docx", b"PK\3\4" + bytes(50_000), "other", 25_002),
        ("text/plain", TEXT.encode(), "other", bound_text(TEXT)),
        ("application/json", TEXT.encode(), "other", bound_text(TEXT)),
    ],
    ids=lambda value: value if isinstance(value, str | int) else "",
)
def test_media_count_by_kind_in_every_dialect(
    dialect: str, media_type: str, data: bytes, kind: str, tokens: int
) -> None:
    counts = bound(bodies(media_type, data)[dialect])
    expected = {"image": (tokens, 0), "audio": (0, tokens), "other": (0, 0)}[kind]
    assert (counts.image_input, counts.audio_input) == expected
    assert tokens <= counts.input <= tokens + 80


@pytest.mark.parametrize("format", ["wav", "mp3"])
def test_a_recording_in_openais_dialect_is_sound(format: str) -> None:
    part = {"type": "input_audio", "input_audio": {"data": encoded(b"\0" * 40_000), "format": format}}
    assert bound(openai(part)).audio_input == AUDIO_TOKENS


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": "https://a.invalid/a.png"}}, "image"),
        ({"type": "video_url", "video_url": {"url": "https://a.invalid/a.mp4"}}, "video"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "document"),
        ({"type": "document", "source": {"type": "url", "url": "https://a.invalid/a.pdf"}}, "document"),
        ({"type": "image", "source": {"type": "file", "file_id": "file-1"}}, "image"),
        ({"type": "input_image", "image_url": "https://a.invalid/a.png"}, "image"),
        ({"type": "input_file", "file_id": "file-1"}, "document"),
        ({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://a/b"}}}}, "video"),
        ({"fileData": {"mimeType": "video/mp4", "fileUri": "https://a.invalid"}}, "video"),
        ({"fileData": {"fileUri": "https://a.invalid"}}, "document"),
    ],
)
def test_media_that_the_provider_gets_itself_count_as_constants(part: Any, kind: str) -> None:
    assert REMOTE_TOKENS[kind] <= bound(openai(part)).input <= REMOTE_TOKENS[kind] + 60


LONG_BASE64 = encoded(TEXT.encode())
NOT_MEDIA: dict[str, Any] = {
    "text in a file": {"type": "file", "file": {"file_data": TEXT}},
    "text in a URI": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{TEXT}"}},
    "text after padding": {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,QQ==" + LONG_BASE64},
    },
    "text in an input file": {"type": "input_file", "file_data": TEXT},
    "text as encrypted content": {"type": "text", "text": "", "encrypted_content": LONG_BASE64},
    "base64 in a text": {"type": "text", "text": LONG_BASE64},
    "base64 in an unknown field": {"type": "text", "text": "", "more": {"data": LONG_BASE64}},
    "a data URI in a text": {"type": "text", "text": "data:image/png;base64," + LONG_BASE64},
    "text that looks like media": {
        "type": "text",
        "text": json.dumps({"inlineData": {"mimeType": "image/png", "data": TEXT}}),
    },
}


@pytest.mark.parametrize("name", NOT_MEDIA)
def test_a_text_cannot_pass_for_a_medium(name: str) -> None:
    assert bound(openai(NOT_MEDIA[name])).input >= bound_text(TEXT) - 40


@pytest.mark.parametrize("text", ["a1b2" * 1_000, "a\nb\n" * 1_000, encoded(b"  " * 1_500), encoded(bytes(3_000))])
@pytest.mark.parametrize(
    ("type", "name", "inner"),
    [
        ("file", "file", "file_data"),
        ("input_file", "file_data", None),
        ("video_url", "video_url", "url"),
        ("video_url", "video_url", None),
    ],
)
def test_a_text_in_the_letters_of_base64_cannot_pass_for_a_medium(
    text: str, type: str, name: str, inner: str | None
) -> None:
    part = {"type": type, name: {inner: text} if inner else text}
    assert bound(openai(part)).input >= bound_text(text) - 40


@pytest.mark.parametrize("head", [b"%PDF-1.7", b"PK\3\4", b"\xd0\xcf\x11\xe0"])
def test_a_proven_document_without_a_declared_type_is_no_text(head: bytes) -> None:
    part = {"type": "file", "file": {"file_data": encoded(head + bytes(9_000))}}
    assert bound(openai(part)).input <= 5_000


def test_a_medium_in_a_schema_is_text() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": LONG_BASE64}}
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"messages": [{"content": [image]}]}}}]
    body = {**openai({"type": "image_url", "image_url": {"url": "https://a.invalid"}}), "tools": tools}
    assert bound(body).input >= bound_text(encoded(TEXT.encode())) + IMAGE_TOKENS


@pytest.mark.parametrize(
    "part",
    [
        {"type": "thinking", "thinking": "", "signature": "A" * 8_000},
        {"type": "redacted_thinking", "data": "A" * 8_000},
        {"reasoningContent": {"reasoningText": {"text": "", "signature": "A" * 8_000}}},
        {"reasoningContent": {"redactedContent": "A" * 8_000}},
        {"thoughtSignature": "A" * 8_000, "text": ""},
        {"type": "reasoning", "summary": [], "encrypted_content": "A" * 8_000},
    ],
)
def test_a_signature_counts_as_the_reasoning_that_it_hides(part: Any) -> None:
    assert 2_000 <= bound(openai(part)).input <= 2_060


def test_the_deepest_text_counts() -> None:
    deep: Any = TEXT
    for _ in range(90):
        deep = {"content": [deep]}
    assert bound({"messages": [{"content": [{"source": {"type": "content", "content": [deep]}}]}]}).input >= bound_text(
        TEXT
    )


@pytest.mark.parametrize("body", [b"", b"\xff", b'"source"', b'[{"source": 1}]', b'{"messages": {"source": []}}'])
def test_any_bytes_have_a_bound(body: bytes) -> None:
    assert bound_body(body).input >= 1


def test_a_small_prompt_is_not_counted_with_its_fields() -> None:
    body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 1_000}
    assert bound(body).input <= 30


def test_the_time_grows_with_the_size_alone() -> None:
    megabyte = openai({"type": "image_url", "image_url": {"url": uri("image/png", png(9, 9, 700_000))}})
    texts = openai({"type": "text", "text": "A short line.\n" * 70_000})
    for body in (encode(megabyte), encode(texts)):
        seconds: list[float] = []
        for _ in range(3):
            start = time.process_time()
            bound_body(body)
            seconds.append(time.process_time() - start)
        assert min(seconds) < 0.08
