"""`/openapi.json`, and the pages `/docs` and `/admin/v1/docs`, where Swagger UI shows both planes' documents.

Everything is served from here: the pages work without a network, and no other host's script sees the key that is typed
into them. Their Content-Security-Policy allows this host alone.
"""

from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from tidegate.api.admin.app import OPENAPI as ADMIN_OPENAPI
from tidegate.api.admin.app import PREFIX
from tidegate.errors import ConfigurationError
from tidegate.json import encode
from tidegate.local.home_page import home_routes
from tidegate.local.openapi import openapi_document

OPENAPI, DOCS, ADMIN_DOCS = "/openapi.json", "/docs", f"{PREFIX}/docs"

_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_START = "start.js"

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Tidegate</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="docs" data-document="{document}"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_SCRIPT = """const place = document.getElementById("docs");
SwaggerUIBundle({domNode: place, url: place.dataset.document, validatorUrl: null, deepLinking: true});
"""


def document_routes() -> list[BaseRoute]:
    """Return the routes, also of the page `/`. Raises `ConfigurationError` if the package of Swagger UI is missing."""
    document, folder = encode(openapi_document()), _assets_folder()

    async def openapi(request: Request) -> Response:
        return Response(document, media_type="application/json")

    async def page(request: Request) -> Response:
        shown = ADMIN_OPENAPI if request.url.path == ADMIN_DOCS else OPENAPI
        return Response(_PAGE.format(document=shown), media_type="text/html", headers=_HEADERS)

    async def script(request: Request) -> Response:
        return Response(_SCRIPT, media_type="text/javascript", headers=_HEADERS)

    async def asset(request: Request) -> Response:
        return FileResponse(folder / request.url.path.rpartition("/")[2], headers=_HEADERS)

    return [
        *home_routes(),
        Route(OPENAPI, openapi, methods=["GET"]),
        *(Route(path, page, methods=["GET"]) for path in (DOCS, ADMIN_DOCS)),
        Route(f"{DOCS}/{_START}", script, methods=["GET"]),
        *(Route(f"{DOCS}/{name}", asset, methods=["GET"]) for name in _ASSETS),
    ]


def _assets_folder() -> Path:
    """Return the folder of Swagger UI's files. The package is not imported: it would load Flask."""
    spec = find_spec("flask_swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("The package flask-swagger-ui is missing: install tidegate[local].")
    return Path(spec.submodule_search_locations[0]) / "dist"
