"""The address `/` of the local server: it leads browsers to the dashboard. Programs get the usual 404 error."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from tidegate.api.console.static_files import HEADERS
from tidegate.api.console.static_files import PATH as CONSOLE

HOME = "/"


def home_routes() -> list[BaseRoute]:
    """Return the route of the address."""

    async def home(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        return RedirectResponse(CONSOLE, headers={**HEADERS, "cache-control": "no-store", "vary": "accept"})

    return [Route(HOME, home, methods=["GET"])]
