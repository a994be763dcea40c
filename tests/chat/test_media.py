"""What bytes are, and data URIs."""

import base64

import pytest

from tidegate.chat.media import parse_data_uri, sniff


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0none", None),
        (b"%PDF-1.7", "application/pdf"),
        (b"ID3\x03", "audio/mpeg"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"plain text", None),
        (b"", None),
    ],
)
def test_bytes_say_what_they_are(data: bytes, media_type: str | None) -> None:
    assert sniff(data) == media_type


@pytest.mark.parametrize(
    ("uri", "parsed"),
    [
        ("data:image/PNG;base64," + base64.b64encode(b"x").decode(), ("image/png", b"x")),
        ("data:text/plain;charset=utf-8;base64,eA==", ("text/plain", b"x")),
        ("data:,a%20b", ("text/plain", b"a b")),
        ("DATA:text/html,<p>", ("text/html", b"<p>")),
        ("data:image/png;base64,not base64!", None),
        ("data:image/png", None),
        ("https://example.com/a.png", None),
    ],
)
def test_data_uris_are_read_or_refused(uri: str, parsed: tuple[str, bytes] | None) -> None:
    assert parse_data_uri(uri) == parsed
