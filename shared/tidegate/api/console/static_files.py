"""The pages of the dashboard: fixed files without data. A browser gets data from the API alone, with a key."""

import re
from functools import cache
from gzip import compress
from hashlib import sha256
from pathlib import Path

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.domain.identity import OidcIssuer
from tidegate.json import encode

PATH = "/console/"
INDEX = "index.html"
ISSUER = "issuer.json"
"""The name of the document with which the pages sign in with the issuer of access tokens; null if nobody can."""


def content_security_policy(issuer: OidcIssuer | None = None, api_url: str | None = None) -> str:
    """Return the policy of the pages, which send requests to this host alone, to the issuer's, and to the callers' API.

    With trusted types, a browser refuses to make HTML of text, even if a page tried to.
    """
    others = [issuer.origin] if issuer is not None else []
    hosts = " ".join(["'self'", *others, *([_origin(api_url)] if api_url else [])])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {hosts}; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


HEADERS = {
    "content-security-policy": content_security_policy(),
    "cross-origin-opener-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

_INDENTATION_OR_COMMENT = re.compile(rb"^[ \t]+(//.*)?|^//.*", re.MULTILINE)
"""A tenth of the files. They are sent without it; lines keep their numbers. No text of a page spans lines."""

_SPACES_OF_STYLES = re.compile(rb" ?([{};,]) ?|(?<=:) ")

_GZIP = re.compile(r"gzip(\s*;\s*q=(1(\.0*)?|0?\.\d*[1-9]\d*))?")
"""A part of `accept-encoding` that takes gzip: q=0 refuses it."""

_FOLDER = Path(__file__).parent / "pages"
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class StaticFile(Struct, frozen=True):
    """A file of the pages, in memory."""

    content: bytes
    media_type: str
    etag: str


@cache
def compressed(file: StaticFile) -> bytes:
    """Return the file in gzip: a third of its bytes. Each is compressed when it is first asked for."""
    return compress(file.content, mtime=0)


def read_files() -> dict[str, StaticFile]:
    """Read all files of the pages, by name."""
    files: dict[str, StaticFile] = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _MEDIA_TYPES:
            content = _INDENTATION_OR_COMMENT.sub(b"", path.read_bytes())
            if path.suffix == ".css":
                content = _SPACES_OF_STYLES.sub(rb"\1", content)
            files[path.name] = _file(content, _MEDIA_TYPES[path.suffix])
    return files


def _file(content: bytes, media_type: str) -> StaticFile:
    # Weak: it stands for the file in gzip, too.
    return StaticFile(content, media_type, f'W/"{sha256(content).hexdigest()[:24]}"')


def _issuer_document(issuer: OidcIssuer | None) -> bytes:
    if issuer is None:
        return b"null"
    return encode(
        {"url": issuer.url, "client_id": issuer.client_id, "scopes": issuer.scopes, "audience": issuer.audience}
    )


class PagesMiddleware:
    """ASGI middleware that answers the paths of pages. Other paths below `PATH` are the application's.

    With an `issuer` that knows the dashboard as a client, the pages offer to sign in with it. With an `api_url`, they
    make calls there.
    """

    def __init__(self, app: ASGIApp, issuer: OidcIssuer | None = None, api_url: str | None = None) -> None:
        client = issuer if issuer is not None and issuer.client_id is not None else None
        self._app = app
        self._headers = {**HEADERS, "content-security-policy": content_security_policy(client, api_url)}
        self._files = {**read_files(), ISSUER: _file(_issuer_document(client), "application/json")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = self._find_reply(scope) if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else None
        await (self._app if reply is None else reply)(scope, receive, send)

    def _find_reply(self, scope: Scope) -> Response | None:
        path: str = scope["path"]
        if path in ("/", PATH.rstrip("/")):
            return RedirectResponse(_index_address(scope), headers=self._headers)
        file = self._files.get(path.removeprefix(PATH) or INDEX) if path.startswith(PATH) else None
        if file is None:
            return None
        headers, asked = {**self._headers, "etag": file.etag, "vary": "accept-encoding"}, Headers(scope=scope)
        if asked.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        if not _may_compress(scope, asked):
            return Response(file.content, media_type=file.media_type, headers=headers)
        return Response(compressed(file), media_type=file.media_type, headers={**headers, "content-encoding": "gzip"})


def _may_compress(scope: Scope, headers: Headers) -> bool:
    """Return whether the client takes gzip, and gets the bytes that are sent.

    API Gateway decodes the base64 of a Lambda function for the media types of `BinaryMediaTypes` alone, and browsers
    accept `*/*`. With `AdminApi=own` it compresses the text itself (`MinimumCompressionSize` in template.yaml).
    """
    accepted = [part.strip().lower() for part in headers.get("accept-encoding", "").split(",")]
    return "aws.event" not in scope and any(_GZIP.fullmatch(part) for part in accepted)


def _index_address(scope: Scope) -> str:
    """Return the address of the pages, relative: a stage of API Gateway is a prefix that applications do not see.

    "/live" has no slash to be relative to, but API Gateway's event has the whole path.
    """
    full_path = scope.get("aws.event", {}).get("requestContext", {}).get("path", "")
    stage = full_path.strip("/") if scope["path"] == "/" and not full_path.endswith("/") else ""
    return f"{f'/{stage}/' if stage else ''}{PATH.strip('/')}/{INDEX}"
