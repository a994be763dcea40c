"""Where a request comes from, and what it asks for."""

from starlette.types import Scope

from tidegate.domain.restrictions import RequestSource


def source_of(scope: Scope) -> RequestSource:
    """The peer's address as the server tells it: on Lambda `requestContext`'s, elsewhere the connection's.

    No header is read here: a server behind a proxy of the operator's decides itself which of them it trusts.
    """
    client: tuple[str, int] | None = scope.get("client")
    return RequestSource(client[0] if client else None, scope["path"])
