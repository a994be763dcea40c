"""Our signer against botocore's, over whatever hypothesis thinks of."""

import datetime
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tidegate.transport.sigv4 import AwsKey, SigningScope, presign, sign

NOW = 1_795_262_400.0
KEY = AwsKey("an-id", "a-secret/with+signs")
TEMPORARY = AwsKey("an-id", "a-secret", "a-token==")

text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
segments = st.one_of(
    text.map(lambda segment: quote(segment, safe="")), st.sampled_from(["", ".", "..", "a:b", "~(!)'*"])
)
paths = st.lists(segments, max_size=5).map(lambda parts: "/" + "/".join(parts) if parts else "")
encoded = text.map(lambda part: quote(part, safe="-_.~"))
queries = st.lists(st.tuples(encoded, encoded), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
header_names = st.one_of(
    st.sampled_from(["Content-Type", "X-Amz-Target", "User-Agent", "Connection", "x-amzn-trace-id", "Accept"]),
    st.from_regex(r"\Ax-[a-z0-9]{1,8}\Z"),
)
header_values = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12)
headers = st.dictionaries(header_names, header_values, max_size=5).filter(
    lambda made: len({name.lower() for name in made}) == len(made)
)
hosts = st.sampled_from(
    ["https://example.com", "https://Example.com:443", "http://127.0.0.1:8001", "https://[::1]:8443"]
)


def theirs(
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    key: AwsKey,
    scope: SigningScope,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
    signer = S3SigV4Auth if scope.service == "s3" else SigV4Auth
    request = AWSRequest(method, url, headers=headers, data=body)
    signer(Credentials(key.id, key.secret, key.token), scope.service, scope.region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    method=st.sampled_from(["GET", "POST", "put"]),
    host=hosts,
    path=paths,
    query=queries,
    sent=headers,
    body=st.binary(max_size=64),
    key=st.sampled_from([KEY, TEMPORARY]),
    service=st.sampled_from(["bedrock", "secretsmanager", "dynamodb"]),
)
def test_the_signature_is_botocores(
    method: str, host: str, path: str, query: str, sent: dict[str, str], body: bytes, key: AwsKey, service: str
) -> None:
    url = f"{host}{path}" + (f"?{query}" if query else "")
    scope = SigningScope(service, "eu-central-1")
    with pytest.MonkeyPatch.context() as monkeypatch:
        expected = theirs(method, url, sent, body, key, scope, monkeypatch)
    assert sign(method, url, sent, body, key, scope, at=NOW) == expected


@given(path=paths.filter(bool), body=st.binary(max_size=64))
def test_s3_paths_are_signed_as_they_are(path: str, body: bytes) -> None:
    url = f"https://bucket.s3.eu-central-1.amazonaws.com{path}"
    scope = SigningScope("s3", "eu-central-1")
    with pytest.MonkeyPatch.context() as monkeypatch:
        expected = theirs("PUT", url, {}, body, KEY, scope, monkeypatch)
    hashed = {"x-amz-content-sha256": expected["x-amz-content-sha256"]}
    assert sign("PUT", url, hashed, body, KEY, scope, at=NOW) == expected


@given(
    host=hosts, path=paths.filter(bool), key=st.sampled_from([KEY, TEMPORARY]), size=st.integers(0), seconds=st.just(60)
)
def test_a_presigned_url_is_botocores(host: str, path: str, key: AwsKey, size: int, seconds: int) -> None:
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    request = AWSRequest("PUT", f"{host}{path}", headers={"content-length": str(size)})
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
        signer = S3SigV4QueryAuth(Credentials(key.id, key.secret, key.token), "s3", "eu-central-1", expires=seconds)
        signer.add_auth(request)
    scope, headers = SigningScope("s3", "eu-central-1"), {"Content-Length": str(size)}
    url = presign("PUT", f"{host}{path}", headers, key, scope, at=NOW, seconds=seconds)
    assert url.partition("?")[0] == f"{host}{path}"
    assert sorted(parse_qsl(urlsplit(url).query)) == sorted(parse_qsl(urlsplit(request.url).query))


def test_an_old_signature_is_replaced() -> None:
    scope = SigningScope("bedrock", "eu-central-1")
    once = sign("POST", "https://example.com/a%3Ab", {"accept": "*/*"}, b"{}", TEMPORARY, scope, at=NOW)
    assert sign("POST", "https://example.com/a%3Ab", once, b"{}", TEMPORARY, scope, at=NOW) == once


def test_the_headers_it_is_given_stay_as_they_are() -> None:
    given_headers = {"Content-Type": "application/json"}
    sign("POST", "https://example.com/", given_headers, b"{}", KEY, SigningScope("bedrock", "eu-central-1"), at=NOW)
    assert given_headers == {"Content-Type": "application/json"}


def test_a_key_does_not_print_its_secret() -> None:
    assert repr(TEMPORARY) == "AwsKey(...)"
