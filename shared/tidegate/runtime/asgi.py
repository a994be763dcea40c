"""The types of ASGI 3, and of parsed JSON, without importing a framework.

Source: https://asgi.readthedocs.io/en/latest/specs/ (HTTP spec_version 2.4, lifespan 2.0).
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

Headers: TypeAlias = list[tuple[bytes, bytes]]
Scope: TypeAlias = MutableMapping[str, object]
Message: TypeAlias = MutableMapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


def app_of(app: App, scope: Scope) -> App:
    """Return the application behind `app` that answers the request, and all others which differ in their body alone.

    An application that only chooses between others has a method `app_of`, which takes the scope and raises nothing.
    """
    choose: Callable[[Scope], App] | None = getattr(app, "app_of", None)
    return app if choose is None else choose(scope)


VERSIONS = {"version": "3.0", "spec_version": "2.4"}
