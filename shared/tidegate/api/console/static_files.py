"""The pages of the dashboard: fixed files without data. A browser gets data from the API alone, with a key."""

from hashlib import sha256
from pathlib import Path

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/console/"
INDEX = "index.html"

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "cross-origin-opener-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
"""With trusted types, a browser refuses to make HTML of text, even if a page tried to."""

_FOLDER = Path(__file__).parent / "pages"
_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class StaticFile(Struct, frozen=True):
    """A file of the pages, in memory."""

    content: bytes
    media_type: str
    etag: str


def read_files() -> dict[str, StaticFile]:
    """Read all files of the pages, by name."""
    files: dict[str, StaticFile] = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _MEDIA_TYPES:
            content = path.read_bytes()
            digest = sha256(content).hexdigest()[:24]
            files[path.name] = StaticFile(content, _MEDIA_TYPES[path.suffix], f'"{digest}"')
    return files


class PagesMiddleware:
    """ASGI middleware that answers the paths of pages. Other paths below `PATH` are the application's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._files = read_files()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = self._find_reply(scope) if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else None
        await (self._app if reply is None else reply)(scope, receive, send)

    def _find_reply(self, scope: Scope) -> Response | None:
        path: str = scope["path"]
        if path == PATH.rstrip("/"):
            # Relative, because a stage of API Gateway is a prefix that the application does not see.
            return RedirectResponse(f"{PATH.strip('/')}/{INDEX}", headers=HEADERS)
        file = self._files.get(path.removeprefix(PATH) or INDEX) if path.startswith(PATH) else None
        if file is None:
            return None
        headers = {**HEADERS, "etag": file.etag}
        if Headers(scope=scope).get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)
