"""Repeated transactions at the embedded AWS: moto does not read their tokens, so it would make each of them again.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html (ClientRequestToken)
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import IO, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

MEMORY_SECONDS = 600.0
"""How long DynamoDB knows a token."""

_TARGET = "DynamoDB_20120810.TransactWriteItems"


class RepeatedTransactions:
    """Answers a transaction that is repeated with its token as DynamoDB does: with success, and without effect.

    A client repeats one whose answer came too late. It must not be called by two threads at once.
    """

    def __init__(self, application: WSGIApplication, clock: Callable[[], float] = time.monotonic) -> None:
        self._application = application
        self._clock = clock
        self._made: dict[bytes, float] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """See PEP 3333."""
        if environ.get("HTTP_X_AMZ_TARGET") != _TARGET:
            return self._application(environ, start_response)
        body = cast("IO[bytes]", environ["wsgi.input"]).read(int(environ.get("CONTENT_LENGTH") or 0))
        self._forget()
        digest = hashlib.sha256(body).digest()
        if digest in self._made:
            start_response("200 OK", [("content-type", "application/x-amz-json-1.0")])
            return [b"{}"]
        statuses: list[str] = []

        def note_status(status: str, *others: object) -> object:
            statuses.append(status)
            return cast("Callable[..., object]", start_response)(status, *others)

        environ["wsgi.input"] = BytesIO(body)
        reply = list(self._application(environ, cast("StartResponse", note_status)))
        if b'"ClientRequestToken"' in body and statuses[-1].startswith("200"):
            self._made[digest] = self._clock()
        return reply

    def _forget(self) -> None:
        """Forget the oldest tokens."""
        oldest = self._clock() - MEMORY_SECONDS
        for digest, made_at in [*self._made.items()]:
            if made_at > oldest:
                break
            del self._made[digest]
