"""What bytes are, and data URIs."""

import base64

import pytest

from tidegate.chat.media import MediaContent, content_from_bytes, media_type_of_name, parse_media, sniff_media_type


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
        (b"\0\0\0\x18ftypmsf1", "image/heif"),
        (b"BM\x46\0\0\0\0\0\0\0", "image/bmp"),
        (b"BMW builds cars", None),
        (b"plain text", None),
        (b"", None),
    ],
)
def test_bytes_say_what_they_are(data: bytes, media_type: str | None) -> None:
    assert sniff_media_type(data) == media_type


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


@pytest.mark.parametrize(
    ("uri", "held"),
    [
        ("data:image/PNG;base64,eA==", MediaContent("image/png", "eA==")),
        (f"data:image/jpeg;base64,{PNG}", MediaContent("image/png", PNG)),
        ("data:text/plain;charset=utf-8;base64,eA==", MediaContent("text/plain", "eA==")),
        ("data:image/png;base64,eA%3D%3D", MediaContent("image/png", "eA==")),
        ("data:;base64,eA==", MediaContent("text/plain", "eA==")),
        ("data:,a%20b", MediaContent("text/plain", "YSBi")),
        ("DATA:text/html,<p>", MediaContent("text/html", "PHA+")),
        ("data:image/png;base64,", MediaContent("image/png", "")),
        ("data:image/png;base64,not base64!", None),
        ("data:image/png", None),
        (PNG, MediaContent("image/png", PNG)),
        (f"{PNG[:4]}\n{PNG[4:]}", MediaContent("image/png", PNG)),
        ("eA==", MediaContent("", "eA==")),
        ("https://example.com/a.png", None),
    ],
)
def test_what_a_data_uri_or_bare_base64_holds(uri: str, held: MediaContent | None) -> None:
    assert parse_media(uri) == held


def test_what_is_declared_counts_where_bytes_and_uri_say_nothing() -> None:
    assert parse_media("eA==", "text/csv") == MediaContent("text/csv", "eA==")
    assert parse_media("data:;base64,eA==", "text/csv") == MediaContent("text/csv", "eA==")
    assert parse_media("data:text/html;base64,eA==", "text/csv") == MediaContent("text/html", "eA==")
    assert content_from_bytes(b"x", "Text/CSV; header=present") == MediaContent("text/csv", "eA==")


def test_one_container_is_sound_or_video_as_its_sender_says() -> None:
    assert content_from_bytes(b"\x1aE\xdf\xa3", "audio/webm").media_type == "audio/webm"
    assert content_from_bytes(b"\x1aE\xdf\xa3", "image/png").media_type == "video/webm"


def test_content_is_text_or_it_is_not() -> None:
    assert MediaContent("text/plain", "w6Q=").text() == "ä"
    for content in ("/w==", "w6Q"):
        with pytest.raises(ValueError):
            MediaContent("text/plain", content).text()


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.PNG", "image/png"),
        ("https://host.invalid/b.c/d.mp4?x=.pdf#y", "video/mp4"),
        ("gs://bucket/a.md", "text/markdown"),
        ("none", None),
        ("", None),
    ],
)
def test_names_tell_types(name: str, media_type: str | None) -> None:
    assert media_type_of_name(name) == media_type
