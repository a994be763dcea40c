"""Replies of the server itself, in OpenAI's error envelope. After each of them the connection is closed."""

from http import HTTPStatus

import msgspec
from msgspec import Struct


class Refusal(Struct, frozen=True):
    """An error that is answered without the application."""

    status: HTTPStatus
    code: str
    message: str

    def encode(self, *, has_body: bool = True) -> bytes:
        """Return the whole reply; without its body for HEAD."""
        kind = "server_error" if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        error = {"message": self.message, "type": kind, "param": None, "code": self.code}
        body = msgspec.json.encode({"error": error})
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        return head.encode() + body if has_body else head.encode()


BAD_REQUEST = Refusal(HTTPStatus.BAD_REQUEST, "malformed_request", "The request is not valid HTTP/1.1.")
BAD_HOST = Refusal(HTTPStatus.BAD_REQUEST, "malformed_request", "The request must have exactly one Host header.")
BAD_TARGET = Refusal(HTTPStatus.BAD_REQUEST, "malformed_request", "The target of the request is not a valid path.")
TOO_MANY_PIPELINED = Refusal(
    HTTPStatus.BAD_REQUEST, "too_many_pipelined", "Too many requests were sent ahead on this connection."
)
TIMED_OUT = Refusal(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The request did not arrive in time.")
HEAD_TOO_LARGE = Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", "The headers are too large.")
WRONG_VERSION = Refusal(
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "http_version_not_supported", "This server speaks HTTP/1.1."
)
CRASHED = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "Internal server error.")
SHUTTING_DOWN = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "shutting_down", "The gateway is shutting down; send the request again."
)
