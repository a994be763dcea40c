"""Who calls, and on whose account."""

from typing import Literal

from msgspec import Struct

from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import NO_LIMITS, Limits
from tidegate.domain.routes import Route

WorkspaceStatus = Literal["active", "suspended"]
KeyStatus = Literal["active", "revoked"]
WordsMethod = Literal["tokens", "unicode"]


class WorkspaceCredential(Struct, frozen=True):
    """Of a workspace's own, by the name of its setting ("OPENAI_API_KEY"). Its value is in the vault alone."""

    name: str
    changed_at: float


class Workspace(Struct, frozen=True):
    """A tenant: what is metered, what it may use, and how its words are counted.

    `words_method` "tokens" counts `round(0.75 × completion_tokens)`, "unicode" counts the output by UAX #29.
    `plan_limits` are those of the plan `plan_id`, kept here so that a call need not read the plan; `limits` win over
    them. Months of budgets begin on `first_day`. `allows_unpriced`: a model without a price counts 0 against a budget
    in USD, instead of being refused. `lowers_max_tokens`: a call that asks for more than is left is shortened, and
    told so. A workspace of many calls a second is spread over `shards` items. `version` goes up with every change.
    For `cache_ttl_seconds` replies are kept, for equal calls that say nothing else; None keeps none.
    `timeout_seconds` is the longest that its calls may take, where that is less than the operator's.
    `routes` are names of its own for models. `guardrails` may be named by its calls, or run on all of them.
    """

    id: str
    name: str
    status: WorkspaceStatus = "active"
    created_at: float = 0.0
    words_method: WordsMethod = "tokens"
    charge_input_words: bool = False
    plan_id: str | None = None
    plan_limits: Limits = NO_LIMITS
    limits: Limits = NO_LIMITS
    first_day: int = 1
    allows_unpriced: bool = False
    lowers_max_tokens: bool = False
    cache_ttl_seconds: int | None = None
    timeout_seconds: float | None = None
    shards: int = 1
    version: int = 1
    credentials: tuple[WorkspaceCredential, ...] = ()
    routes: tuple[Route, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()

    @property
    def effective_limits(self) -> Limits:
        return self.limits.with_defaults(self.plan_limits)

    def has_credential(self, name: str) -> bool:
        """Whether it has that credential itself, and does not use the gateway's."""
        return any(credential.name == name for credential in self.credentials)


class VirtualKey(Struct, frozen=True):
    """A bearer key, known by the sha-256 of its secret. `prefix` is what a person may see of it.

    Once it has been rotated, the secret before opens the same, until `previous_expires_at` (UTC seconds). `endpoints`
    are shell patterns of paths and `networks` those that it may be used from; None is any, see `restrictions.py`.
    """

    id: str
    hash: str
    prefix: str
    workspace_ids: tuple[str, ...]
    default_workspace_id: str | None
    name: str = ""
    status: KeyStatus = "active"
    created_at: float = 0.0
    expires_at: float | None = None
    limits: Limits = NO_LIMITS
    previous_hash: str | None = None
    previous_prefix: str | None = None
    previous_expires_at: float | None = None
    version: int = 1
    endpoints: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None


class Principal(Struct, frozen=True):
    """Who is calling, once it has been proved."""

    key_id: str
    workspace_ids: tuple[str, ...]
    limits: Limits = NO_LIMITS
