"""The source of a request: the client's address, and the path."""

from starlette.types import Scope

from tidegate.domain.workspace import RequestSource


def source_of(scope: Scope) -> RequestSource:
    """Return the peer's address as the server reports it: on Lambda from `requestContext`, else the connection's.

    Headers are not read: a server behind the operator's proxy decides itself which of them it trusts.
    """
    client: tuple[str, int] | None = scope.get("client")
    return RequestSource(client[0] if client else None, scope["path"])
