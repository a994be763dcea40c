"""Which deployment has answered each session last, in this process: it has the session's cache.

Prices and latencies change from call to call, and would move a session from one account to another.
"""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct, field

from tidegate.domain.call import Call
from tidegate.domain.routes import Route

MAX_SESSIONS = 10_000

SESSION_SECONDS = 3_600.0
"""How long a session is remembered after its last call: as long as providers keep a cache at most."""


class Sessions(Struct):
    """The ids of deployments by session, the latest call last. `clock` returns UTC seconds."""

    clock: Callable[[], float]
    _answered: OrderedDict[bytes, tuple[str, float]] = field(default_factory=OrderedDict[bytes, tuple[str, float]])

    def find_deployment_id(self, route: Route, call: Call) -> str | None:
        """Return the deployment that has answered the session's last call; None if it is not known any more."""
        deployment_id, at = self._answered.get(_session_key(route, call), ("", 0.0))
        return deployment_id if deployment_id and self.clock() - at < SESSION_SECONDS else None

    def remember(self, route: Route, call: Call, deployment_id: str) -> None:
        """Remember the deployment that has answered a call."""
        key = _session_key(route, call)
        self._answered[key] = deployment_id, self.clock()
        self._answered.move_to_end(key)
        if len(self._answered) > MAX_SESSIONS:
            self._answered.popitem(last=False)


def _session_key(route: Route, call: Call) -> bytes:
    session = call.request.session_key(call.session_id)
    return sha256(b"\n".join((call.workspace.id.encode(), route.name.encode(), session))).digest()
