"""A gateway whose files and batches are scripted by the test, for `tidegate batch`."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

URL = "https://gateway.test/v1"
STORAGE = "https://storage.test/object"


@dataclass
class BatchServer:
    """Answers the requests of the command. `states` are the batch at each look, the last one for ever.

    A file of more than `form_limit` bytes is refused as a form. `presigns`: presigned URLs are offered.
    """

    states: list[Any] = field(default_factory=list[Any])
    form_limit: int = 100_000_000
    presigns: bool = False
    output: bytes = b""
    errors: bytes = b""
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    headers: list[httpx.Headers] = field(default_factory=list[httpx.Headers])
    bodies: list[bytes] = field(default_factory=list[bytes])
    on_request: Callable[[httpx.Request], httpx.Response | None] = lambda _: None

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def sent(self, path: str) -> list[bytes]:
        """The bodies of the requests to a path."""
        return [body for (_, each), body in zip(self.requests, self.bodies, strict=True) if each == path]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1")
        self.requests.append((request.method, path))
        self.headers.append(request.headers)
        self.bodies.append(request.read())
        if (special := self.on_request(request)) is not None:
            return special
        match (request.method, path):
            case ("POST", "/files") if request.headers["content-type"] == "application/json":
                if not self.presigns:
                    return refusal(400, "presigned_uploads_unsupported", "Send a form.")
                upload = {"method": "PUT", "url": STORAGE, "headers": {"x-checked": "yes"}}
                return httpx.Response(200, json={"id": "file-1", "status": "pending", "upload": upload})
            case ("POST", "/files") if len(request.content) > self.form_limit:
                return refusal(413, "request_too_large", "Too large.")
            case ("POST", "/files"):
                return httpx.Response(200, json={"id": "file-1"})
            case ("PUT", "/object"):
                return httpx.Response(200)
            case ("POST", "/uploads"):
                return httpx.Response(200, json={"id": "upload_1"})
            case ("POST", "/uploads/upload_1/parts"):
                return httpx.Response(200, json={"id": f"part_{len(self.sent(path))}"})
            case ("POST", "/uploads/upload_1/complete"):
                return httpx.Response(200, json={"id": "upload_1", "file": {"id": "file-1"}})
            case ("POST", "/batches"):
                return httpx.Response(200, json=batch("validating", **json.loads(request.content)))
            case ("GET", "/batches"):
                return httpx.Response(200, json={"object": "list", "data": self.states, "has_more": True})
            case ("GET", "/files/file-out/content"):
                return httpx.Response(200, content=self.output)
            case ("GET", "/files/file-err/content"):
                return httpx.Response(200, content=self.errors)
            case (_, path) if re.fullmatch(r"/batches/batch_1(/cancel|/resume)?", path):
                return httpx.Response(200, json=self.states.pop(0) if len(self.states) > 1 else self.states[0])
            case _:
                return refusal(404, "not_found", f"No such thing: {path}.")


def refusal(status: int, code: str, message: str) -> httpx.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return httpx.Response(status, json={"error": error})


def batch(status: str, completed: int = 0, failed: int = 0, total: int = 0, **more: Any) -> dict[str, Any]:
    """A batch as the API shows it."""
    return {
        "id": "batch_1",
        "object": "batch",
        "status": status,
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file-1",
        "completion_window": "24h",
        "created_at": 1_795_262_400,
        "output_file_id": None,
        "error_file_id": None,
        "request_counts": {"total": total, "completed": completed, "failed": failed},
        **more,
    }
