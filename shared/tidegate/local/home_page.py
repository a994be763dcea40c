"""The page `/` of the local server, for a browser: what runs here, a first request, and where to read on.

It never shows a key. Programs get the error of an unknown path.
"""

from html import escape

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tidegate import __version__

HOME, STYLE = "/", "/docs/home.css"

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "vary": "accept",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Tidegate</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/home.css">
</head>
<body>
<h1>Tidegate {version}</h1>
<p>This is a gateway to large-model providers. Programs speak OpenAI's API to it.</p>
<p>The base URL is <code>{base}</code>.</p>
<h2>A first request</h2>
<p>It needs no provider's key. The server has printed a demo key when it started.</p>
<pre>export KEY=sk-tidegate-…
curl -N {base}/chat/completions -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"model": "demo/echo", "stream": true, "messages": [{{"role": "user", "content": "Hello, tide."}}]}}'</pre>
<h2>A file of requests</h2>
<p>A batch answers each line of a file, in OpenAI's form, while you do something else.</p>
<pre>tidegate batch submit requests.jsonl --wait</pre>
<p>The server has also printed a folder, if it has one, into which you can drop such files.</p>
<h2>Read on</h2>
<ul>
<li><a href="/docs">The API for callers</a>, where you can try each request</li>
<li><a href="/admin/v1/docs">The API for operators</a>: workspaces, keys, plans and usage; it needs an admin key</li>
<li><a href="/public/models">The models</a> that can be called, as JSON</li>
<li><a href="/health">Whether the server is healthy</a>, as JSON</li>
</ul>
</body>
</html>
"""

_CSS = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #1b2733; }
h1, h2 { line-height: 1.2; }
pre { background: #eef3f6; padding: 1rem; overflow-x: auto; }
a { color: #00617f; }
@media (prefers-color-scheme: dark) {
  body { background: #10181f; color: #e2e9ee; }
  pre { background: #1d2a34; }
  a { color: #6cc7e4; }
}
"""


def home_routes() -> list[BaseRoute]:
    """Return the routes of the page and of its style sheet."""

    async def home(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        base = escape(f"{request.url.scheme}://{request.url.netloc}/v1")
        return Response(_PAGE.format(version=__version__, base=base), media_type="text/html", headers=HEADERS)

    async def style(request: Request) -> Response:
        return Response(_CSS, media_type="text/css", headers=HEADERS)

    return [Route(HOME, home, methods=["GET"]), Route(STYLE, style, methods=["GET"])]
