"""Upper bounds for the tokens of media in a body that is sent to a provider: OpenAI's two dialects, Anthropic's,
Converse's, Gemini's and Cohere's.

Media are recognised by their place, because a text may look like base64: content parts, results of tools, and the
sources within them. Anything else, also base64, counts as text.
"""

import math
import re
from base64 import b64decode
from binascii import Error

from tidegate.chat.image_size import count_pixels
from tidegate.chat.media import parse_media, sniff_media_type
from tidegate.chat.text_bound import bound_utf8
from tidegate.domain.usage import TokenCounts
from tidegate.json import Json, JsonObject

IMAGE_TOKENS, LARGE_IMAGE_TOKENS, PIXELS_PER_TOKEN = 2_500, 5_000, 500
"""Tokens of an image: by its pixels, within these two bounds. 2,500 if its size is unknown.

OpenAI takes at most 1,536 patches x 1.62 = 2,489 (https://platform.openai.com/docs/guides/images-vision), Gemini 2,240
(https://ai.google.dev/gemini-api/docs/media-resolution), and Anthropic pixels / 750, at most 4,784
(https://docs.claude.com/en/docs/build-with-claude/vision); of 2026-11. The most that a recorded image took was 1,837.
"""

AUDIO_TOKENS, AUDIO_TOKENS_PER_SECOND, AUDIO_BYTES_PER_SECOND = 400, 32, 4_000
"""Tokens of a recording: at least 400, because Voxtral fills half a minute (375 tokens, recorded). Gemini takes 32 a
second (https://ai.google.dev/gemini-api/docs/tokens), OpenAI 10. Without a rate in its head, as in WAV, a recording is
taken to have 32 kbit/s.
"""

VIDEO_TOKENS, VIDEO_TOKENS_PER_SECOND, VIDEO_BYTES_PER_SECOND = 4_200, 300, 25_000
"""Tokens of a film: Gemini takes 258 for each of its seconds and 32 for its sound. It is taken to have 200 kbit/s."""

PAGE_TOKENS, PAGE_BYTES = 4_600, 25_000
"""Tokens of a page of a PDF: Anthropic takes its text, up to 3,000, and its image, 1,600
(https://docs.claude.com/en/docs/build-with-claude/pdf-support). Recorded: 4,250 for one page. Bytes of a page where the
pages are compressed and cannot be counted.
"""

OFFICE_TOKENS, OFFICE_BYTES_PER_TOKEN = 4_200, 2
"""Tokens of a compressed document, such as docx: at least 4,200, and one for two bytes."""

_OFFICE_HEADS = (b"PK", b"\xd0\xcf\x11\xe0")
"""The first bytes of a zip archive, and of the documents of Microsoft's Office before 2007."""

REMOTE_TOKENS = {"image": IMAGE_TOKENS, "audio": 4_200, "video": 50_000, "document": 20_000}
"""Tokens of media that the provider gets itself, by a URL or an id: their size is unknown."""

SIGNATURE_CHARACTERS_PER_TOKEN = 4
"""Characters of a signature for each token of the hidden reasoning that it contains."""

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_URL_ALPHABET = str.maketrans("-_", "+/")
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_FIELDS = frozenset(
    {
        *("image_url", "video_url", "input_audio", "document_url", "file", "source", "inlineData", "fileData"),
        *("image", "document", "video", "audio", "content", "parts", "toolResult", "functionResponse"),
        *("signature", "thoughtSignature", "reasoningContent", "redactedContent", "data"),
        *("file_data", "file_url", "file_id", "output", "encrypted_content"),
    }
)
_MAX_DEPTH = 6
"""Lists of parts within each other: deeper ones are in no dialect, and count as text."""

_KINDS = {"image": "image", "audio": "audio", "video": "video", "image_url": "image", "video_url": "video"}


def take_media(body: Json) -> TokenCounts:
    """Remove media and signatures from the body, in place, and return the most tokens that they can take, by kind."""
    taker = _Taker()
    if isinstance(body, dict):
        for name in ("messages", "contents", "input"):
            taker.take_list(body.get(name))
    total = taker.image + taker.audio + taker.other
    return TokenCounts(input=total, audio_input=taker.audio, image_input=taker.image)


class _Taker:
    """Walks the content parts of a body."""

    def __init__(self) -> None:
        self.image = self.audio = self.other = 0
        self._depth = 0

    def take_list(self, parts: Json) -> None:
        """Take the media of content parts, or of messages that have parts."""
        if not isinstance(parts, list) or self._depth == _MAX_DEPTH:
            return
        self._depth += 1
        for part in parts:
            if isinstance(part, dict) and not part.keys().isdisjoint(_FIELDS):
                for name in part.keys() & _FIELDS:
                    self._take_field(part, name, part[name])
        self._depth -= 1

    def _take_field(self, part: JsonObject, name: str, value: Json) -> None:
        match name, value:
            case "content" | "parts" | "output", list():
                self.take_list(value)
            case "toolResult" | "functionResponse", dict():
                self.take_list([value])
            case "reasoningContent", dict():
                self.take_list([value, value.get("reasoningText")])
            case "signature" | "thoughtSignature" | "redactedContent" | "data", str():
                self._take_signature(part, name, value)
            case "encrypted_content", str() if part.get("type") == "reasoning":
                self._take_signature(part, name, value)
            case "source", dict():
                self._take_source(part, value)
            case _:
                self._take_named(part, name, value)

    def _take_named(self, part: JsonObject, name: str, value: Json) -> None:
        """Take the media of parts that are named for their kind."""
        match name, value:
            case "image_url" | "video_url" | "document_url", str():
                self._take(part, name, _KINDS.get(name, "document"))
            case "image_url" | "video_url", dict():
                self._take(value, "url", _KINDS[name])
            case "input_audio", str():
                self._take(part, name, "audio", "audio/mpeg")
            case "input_audio", dict():
                self._take(value, "data", "audio", f"audio/{value.get('format')}")
            case "file_data" | "file_url" | "file_id", str() if part.get("type") == "input_file":
                self._take(part, name, "document")
            case "file", dict():
                self._take(value, "file_data" if "file_data" in value else "file_id", "document")
            case "inlineData", dict():
                self._take(value, "data", "document", str(value.get("mimeType")))
            case "fileData", dict():
                self._take_remote(_KINDS.get(str(value.get("mimeType")).partition("/")[0], "document"))
            case "image" | "document" | "video" | "audio", {"source": dict(source)}:
                self._take_source({"type": name, "format": value.get("format")}, source)
            case _:
                pass

    def _take_source(self, part: JsonObject, source: JsonObject) -> None:
        """Take a source of Anthropic's or of Converse's."""
        kind = _KINDS.get(str(part.get("type")), "document")
        if isinstance(source.get("bytes"), str):
            self._take(source, "bytes", kind, f"{kind}/{part.get('format')}")
        elif isinstance(source.get("content"), list):
            self.take_list(source["content"])
        elif source.get("type") == "base64":
            self._take(source, "data", kind, str(source.get("media_type")))
        elif source.keys() & {"url", "file_id", "s3Location"}:
            self._take_remote(kind)

    def _take(self, holder: JsonObject, name: str, kind: str, declared: str = "") -> None:
        """Take the base64 or the URL in a field. A text in its place stays there, and so counts as text.

        Base64 whose type is neither declared nor proven may be a text as well: it counts as the larger of both.
        """
        value = holder.get(name)
        if not isinstance(value, str):
            return
        if name == "file_id" or value[:8].lower().startswith(("http://", "https://", "gs://", "s3://")):
            self._take_remote(kind)
            return
        content = parse_media(value, declared)
        data = content and _decode(content.base64)
        if content is None or data is None:
            return
        kind = _KINDS.get(content.media_type.partition("/")[0], kind if not content.media_type else "document")
        if kind != "image" or sniff_media_type(data) is not None:
            holder[name] = ""
            is_known = content.media_type or data.startswith(_OFFICE_HEADS)
            self._count(kind, max(_media_tokens(kind, data), 0 if is_known else bound_utf8(value.encode())))

    def _take_signature(self, part: JsonObject, name: str, value: str) -> None:
        is_hidden = name != "data" or part.get("type") == "redacted_thinking"
        if is_hidden and _is_base64(value):
            part[name] = ""
            self.other += len(value) // SIGNATURE_CHARACTERS_PER_TOKEN

    def _take_remote(self, kind: str) -> None:
        self._count(kind, REMOTE_TOKENS[kind])

    def _count(self, kind: str, tokens: int) -> None:
        match kind:
            case "image":
                self.image += tokens
            case "audio":
                self.audio += tokens
            case _:
                self.other += tokens


def _is_base64(text: str) -> bool:
    return not text.encode("utf-8", "replace").translate(None, _BASE64)


def _decode(base64: str) -> bytes | None:
    """Return the content, also of base64 for URLs; None if the text is not base64 from its start to its end."""
    if not _is_base64(base64):
        return None
    try:
        data = b64decode(base64.translate(_URL_ALPHABET) + "==")
    except Error:
        return None
    return data if len(data) >= len(base64) * 3 // 4 - 3 else None  # padding ends the content


def _media_tokens(kind: str, data: bytes) -> int:
    """Return the most tokens of a medium. A document of a kind without a rule counts as the text that it may be."""
    match kind:
        case "image":
            pixels = count_pixels(data)
            return min(LARGE_IMAGE_TOKENS, max(IMAGE_TOKENS, (pixels or 0) // PIXELS_PER_TOKEN))
        case "audio":
            return max(AUDIO_TOKENS, math.ceil(AUDIO_TOKENS_PER_SECOND * len(data) / _audio_rate(data)))
        case "video":
            return max(VIDEO_TOKENS, math.ceil(VIDEO_TOKENS_PER_SECOND * len(data) / VIDEO_BYTES_PER_SECOND))
        case _ if data[:5] == b"%PDF-":
            pages = len(data) // PAGE_BYTES if b"/ObjStm" in data else 0
            return PAGE_TOKENS * max(1, pages, len(_PAGE.findall(data)))
        case _ if data.startswith(_OFFICE_HEADS):
            return max(OFFICE_TOKENS, len(data) // OFFICE_BYTES_PER_TOKEN)
        case _:
            return bound_utf8(data)


def _audio_rate(data: bytes) -> int:
    """Return the bytes of a second of sound: from the head of a WAV file, or else the lowest that is usual.

    Decoders go by the channels, samples and bits of the head, not by its own product of them, which may be false.
    """
    if data[:4] != b"RIFF" or data[8:16] != b"WAVEfmt ":
        return AUDIO_BYTES_PER_SECOND
    head = [int.from_bytes(data[start:end], "little") for start, end in ((22, 24), (24, 28), (28, 32), (34, 36))]
    channels, samples, rate, bits = head
    return max(AUDIO_BYTES_PER_SECOND, min(rate, channels * samples * bits // 8))
