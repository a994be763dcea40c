import json
from pathlib import Path
from typing import Any

import pytest

from tidegate.runtime.event import MalformedEvent, Request, UnknownEvent, payload_of, request_of

EVENTS = Path(__file__).parents[1] / "events"

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "https",
    "path": "/v1/models",
    "raw_path": b"/v1/models",
    "query_string": b"",
    "root_path": "",
    "client": ("203.0.113.7", 0),
}
REST_HOST = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
URL_HOST = "f1g2h3i4j5.lambda-url.eu-central-1.on.aws"
REST_HEADERS = {
    b"accept": b"*/*",
    b"authorization": b"Bearer sk-tidegate-demo",
    b"content-type": b"application/json",
    b"host": REST_HOST.encode(),
    b"user-agent": b"OpenAI/Python 3.54.0",
    b"x-amzn-trace-id": b"Root=1-6741b2f0-2f1c9d0e5b7a4c3d8e9f0a1b",
    b"x-forwarded-for": b"203.0.113.7",
    b"x-forwarded-port": b"443",
    b"x-forwarded-proto": b"https",
    b"x-workspace-id": b"ws_demo",
}
URL_HEADERS = {
    name: URL_HOST.encode() if name == b"host" else value
    for name, value in REST_HEADERS.items()
    if name != b"x-workspace-id"
}
REST = SCOPE | {"server": (REST_HOST, 443), "headers": list(REST_HEADERS.items())}
URL = SCOPE | {"server": (URL_HOST, 443), "headers": list(URL_HEADERS.items())}
CHAT = {"method": "POST", "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions"}


def event(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def test_a_rest_request_is_read_whole() -> None:
    body = event("rest/chat")["body"].encode()
    assert request_of(event("rest/chat")) == Request(REST | CHAT, body)


def test_a_function_url_request_is_read_whole() -> None:
    body = event("url/chat")["body"].encode()
    assert request_of(event("url/chat")) == Request(URL | CHAT, body)


@pytest.mark.parametrize(
    ("name", "value", "server"),
    [
        ("host", "a.example:8443", ("a.example", 8443)),
        ("x-forwarded-port", "8443", (URL_HOST, 8443)),
        ("x-forwarded-port", "9" * 5000, (URL_HOST, 443)),
        ("host", "a.example:" + "9" * 5000, ("a.example:" + "9" * 5000, 443)),
    ],
)
def test_a_port_is_taken_where_it_is_one(name: str, value: str, server: tuple[str, int]) -> None:
    sent = event("url/chat")
    sent["headers"][name] = value
    assert request_of(sent).scope["server"] == server


def test_repeated_headers_and_parameters_of_a_rest_request_are_kept() -> None:
    headers = [(b"accept", b"application/json"), (b"accept", b"text/event-stream")]
    headers += [pair for pair in REST_HEADERS.items() if pair[0] != b"accept"] + [(b"cookie", b"a=1; b=2")]
    query = b"tag=a%20b&tag=c%26d%3De&tag=%C3%BC%2B%25&empty="
    assert request_of(event("rest/multi_values")) == Request(REST | {"headers": headers, "query_string": query}, b"")


def test_cookies_of_a_function_url_become_one_header() -> None:
    expected = URL | {
        "path": "/v1/models/openai/gpt-4o",
        "raw_path": b"/v1/models/openai%2Fgpt-4o",
        "query_string": b"tag=a%20b&tag=c%26d&empty=",
        "headers": [*URL_HEADERS.items(), (b"cookie", b"a=1; b=2")],
    }
    assert request_of(event("url/query_and_cookies")) == Request(expected, b"")


def test_single_values_do_where_the_multi_value_fields_are_null() -> None:
    assert request_of(event("rest/single_values_only")) == Request(REST | {"query_string": b"limit=2"}, b"")


def test_the_consoles_test_event_has_no_headers() -> None:
    body = event("rest/console_test")["body"].encode()
    expected = REST | CHAT | {"headers": [], "client": ("test-invoke-source-ip", 0)}
    assert request_of(event("rest/console_test")) == Request(expected, body)


@pytest.mark.parametrize(
    ("name", "body"), [("rest/base64", b"\x00\xff binary \xfe"), ("url/base64", event("url/chat")["body"].encode())]
)
def test_a_base64_body_is_decoded(name: str, body: bytes) -> None:
    assert request_of(event(name)).body == body


@pytest.mark.parametrize(
    ("sent", "raw_path", "path"),
    [
        ("/v1/models/openai%2Fgpt-4o%20mini", b"/v1/models/openai%2Fgpt-4o%20mini", "/v1/models/openai/gpt-4o mini"),
        ("/a b/ü", b"/a%20b/%C3%BC", "/a b/ü"),
        ("/100%", b"/100%25", "/100%"),
        ("/a?b#c", b"/a%3Fb%23c", "/a?b#c"),
        ("/%FF", b"/%FF", "/\N{REPLACEMENT CHARACTER}"),
        ("", b"/", "/"),
    ],
)
def test_the_path_is_encoded_once(sent: str, raw_path: bytes, path: str) -> None:
    scope = request_of({"httpMethod": "GET", "path": sent}).scope
    assert (scope["raw_path"], scope["path"]) == (raw_path, path)


def test_the_least_event_gives_a_whole_scope() -> None:
    expected = SCOPE | {"path": "/", "raw_path": b"/", "headers": [], "client": None, "server": None}
    assert request_of({"httpMethod": "get", "path": "/"}) == Request(expected, b"")


@pytest.mark.parametrize(
    ("headers", "scheme", "server"),
    [
        ({"host": "127.0.0.1:3000", "x-forwarded-proto": "http"}, "http", ("127.0.0.1", 3000)),
        ({"host": "[::1]:3000"}, "https", ("::1", 3000)),
        ({"host": "example.com", "x-forwarded-port": "8443"}, "https", ("example.com", 8443)),
        ({"host": "example.com", "x-forwarded-proto": "http"}, "http", ("example.com", 80)),
    ],
)
def test_scheme_and_server_come_from_the_headers(headers: dict[str, str], scheme: str, server: tuple[str, int]) -> None:
    scope = request_of({"httpMethod": "GET", "path": "/", "headers": headers}).scope
    assert (scope["scheme"], scope["server"]) == (scheme, server)


def test_headers_beyond_latin_1_travel_as_utf_8() -> None:
    headers = {"X-Title": "Gezeiten – Tor", "X-Name": "Jürgen"}
    scope = request_of({"httpMethod": "GET", "path": "/", "headers": headers}).scope
    assert scope["headers"] == [(b"x-title", "Gezeiten – Tor".encode()), (b"x-name", b"J\xfcrgen")]


@pytest.mark.parametrize("name", sorted(path.stem for path in (EVENTS / "other").iterdir()))
def test_anything_else_is_an_unknown_event(name: str) -> None:
    with pytest.raises(UnknownEvent):
        payload_of(event(f"other/{name}"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rest_bad_base64", "body is not the base64 that isBase64Encoded announces"),
        ("rest_body_is_object", "body must be a string or null"),
        ("rest_encoded_flag_is_text", "isBase64Encoded must be true or false"),
        ("rest_method_is_null", "httpMethod must be a string"),
        ("rest_no_path", "path must be a string"),
        ("rest_headers_is_list", "multiValueHeaders must be an object"),
        ("rest_header_is_number", "multiValueHeaders must be a string"),
        ("rest_header_is_text", "multiValueHeaders must hold lists of strings"),
        ("rest_query_is_text", "multiValueQueryStringParameters must be an object"),
        ("rest_context_is_text", "requestContext must be an object"),
        ("rest_lone_surrogate", "the event holds a lone surrogate, which no encoding can carry"),
        ("url_bad_base64", "body is not the base64 that isBase64Encoded announces"),
        ("url_cookies_is_text", "cookies must be a list of strings"),
        ("url_query_is_number", "rawQueryString must be a string"),
        ("url_no_method", "requestContext.http.method must be a string"),
        ("url_no_http", "requestContext.http.method must be a string"),
    ],
)
def test_a_malformed_event_names_the_field(name: str, message: str) -> None:
    with pytest.raises(MalformedEvent) as raised:
        request_of(event(f"malformed/{name}"))
    assert str(raised.value) == message
