import json

import pytest

from tidegate.runtime.event import Payload
from tidegate.runtime.response import Head, PreludeTooLarge, prelude, proxy_response

HEADERS = [
    (b"Content-Type", b"text/event-stream"),
    (b"content-length", b"12"),
    (b"Transfer-Encoding", b"chunked"),
    (b"connection", b"close"),
    (b"vary", b"origin"),
    (b"Vary", b"accept"),
    (b"set-cookie", b"a=1; Path=/"),
    (b"set-cookie", b"b=2"),
    (b"x-name", b"J\xfcrgen"),
]


def test_a_rest_prelude_puts_repeated_headers_into_multi_value_headers() -> None:
    assert json.loads(prelude(Head(200, HEADERS), "1.0")) == {
        "statusCode": 200,
        "headers": {"content-type": "text/event-stream", "x-name": "Jürgen"},
        "multiValueHeaders": {"vary": ["origin", "accept"]},
        "cookies": ["a=1; Path=/", "b=2"],
    }


def test_a_function_url_prelude_joins_repeated_headers() -> None:
    assert json.loads(prelude(Head(404, HEADERS), "2.0")) == {
        "statusCode": 404,
        "headers": {"content-type": "text/event-stream", "vary": "origin, accept", "x-name": "Jürgen"},
        "cookies": ["a=1; Path=/", "b=2"],
    }


@pytest.mark.parametrize("payload", ["1.0", "2.0"])
def test_the_least_prelude_still_has_cookies(payload: Payload) -> None:
    assert prelude(Head(204, []), payload) == b'{"statusCode":204,"headers":{},"cookies":[]}'


def test_a_prelude_may_fill_16_kb_with_its_delimiter_and_no_more() -> None:
    empty = len(prelude(Head(200, [(b"x", b"")]), "1.0"))
    fits = 16 * 1024 - 8 - empty
    assert len(prelude(Head(200, [(b"x", b"x" * fits)]), "1.0")) == 16 * 1024 - 8
    with pytest.raises(PreludeTooLarge):
        prelude(Head(200, [(b"x", b"x" * (fits + 1))]), "1.0")


def test_a_rest_proxy_response_has_no_cookies_key() -> None:
    assert json.loads(proxy_response(Head(200, HEADERS), "é".encode(), "1.0")) == {
        "statusCode": 200,
        "headers": {"content-type": "text/event-stream", "x-name": "Jürgen"},
        "multiValueHeaders": {"vary": ["origin", "accept"], "set-cookie": ["a=1; Path=/", "b=2"]},
        "body": "é",
        "isBase64Encoded": False,
    }


def test_a_function_url_proxy_response_with_bytes_travels_as_base64() -> None:
    assert json.loads(proxy_response(Head(200, []), b"\xff\x00", "2.0")) == {
        "statusCode": 200,
        "headers": {},
        "cookies": [],
        "body": "/wA=",
        "isBase64Encoded": True,
    }
