"""Workspaces, virtual keys and principals: who calls, and who pays."""

from functools import cached_property
from typing import Literal

from msgspec import Struct

from tidegate.domain.guardrails import Guardrail
from tidegate.domain.limits import NO_LIMITS, Limits
from tidegate.domain.routes import Route

WorkspaceStatus = Literal["active", "suspended"]
KeyStatus = Literal["active", "revoked"]
WordsMethod = Literal["tokens", "unicode"]
BatchMode = Literal["calls", "provider_batch"]


class WorkspaceCredential(Struct, frozen=True):
    """A workspace's own provider credential, by the name of its setting ("OPENAI_API_KEY"); the vault has its value."""

    name: str
    changed_at: float


class Workspace(Struct, frozen=True, dict=True):
    """A tenant: it owns limits and usage, and says how its words are counted.

    `words_method` "tokens" counts `round(0.75 × completion_tokens)`, "unicode" counts the output by UAX #29.
    `plan_limits` are a copy of the limits of the plan `plan_id`, so that a call need not read the plan; `limits`
    override them. Months of budgets begin on `first_day`. `allows_unpriced`: a model without a price counts 0 against a
    budget in USD, instead of being refused. `lowers_max_tokens`: max_tokens of a call is lowered to what a budget has
    left. `adds_max_tokens`: a call without max_tokens gets one if a budget has no room for the model's longest
    answer. A workspace with many calls a second is spread over `shards` items. `version` increases with every change.
    `cache_ttl_seconds` is how long replies are stored for equal calls that do not set a ttl; None stores none.
    `timeout_seconds` limits the duration of its calls; the operator's limit applies too. `routes` are model names of
    its own. `guardrails` run if a call names them, or on every call. `batch_webhook` is the URL that is told when a
    batch ends, `batch_mode` how batches are answered that do not say so: by calls, or by their provider's batch API.
    The content of a part `trace_sample` (0 to 1) of its calls is kept as traces, with `trace_failures`, of all that
    fail, and with `trace_callers`, of those that ask for it: for `trace_days`, masked with the guardrails that
    `trace_mask` names.
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
    adds_max_tokens: bool = True
    cache_ttl_seconds: int | None = None
    timeout_seconds: float | None = None
    shards: int = 1
    version: int = 1
    credentials: tuple[WorkspaceCredential, ...] = ()
    routes: tuple[Route, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    batch_webhook: str | None = None
    batch_mode: BatchMode = "calls"
    trace_sample: float = 0.0
    trace_failures: bool = False
    trace_callers: bool = True
    trace_days: int = 7
    trace_mask: tuple[str, ...] = ()

    @cached_property
    def effective_limits(self) -> Limits:
        return self.limits.with_defaults(self.plan_limits)

    def has_credential(self, name: str) -> bool:
        """True if the workspace brought this credential and does not use the gateway's."""
        return any(credential.name == name for credential in self.credentials)


class RequestSource(Struct, frozen=True):
    """The client's network address and the path of the request; None if unknown."""

    address: str | None = None
    path: str | None = None


UNKNOWN_SOURCE = RequestSource()


class VirtualKey(Struct, frozen=True):
    """A bearer key, stored as the sha-256 of its secret. `prefix` is the part of the secret that people may see.

    After a rotation the previous secret stays valid until `previous_expires_at` (UTC seconds). `endpoints` are shell
    patterns of allowed paths, `networks` the allowed client networks; None allows all, see `restrictions.py`.
    `trace_sample` is the part of its calls whose content is kept; None: the workspace's. Traces of calls before
    `traces_since` (UTC seconds) are not for who has its secret.
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
    trace_sample: float | None = None
    traces_since: float = 0.0


class Principal(Struct, frozen=True):
    """The authenticated caller. `trace_sample` and `traces_since` are those of its key."""

    key_id: str
    workspace_ids: tuple[str, ...]
    limits: Limits = NO_LIMITS
    trace_sample: float | None = None
    traces_since: float = 0.0


def trace_rate(principal: Principal, workspace: Workspace) -> float:
    """Return the part of the principal's calls, 0 to 1, whose content is kept: the key's, or else the workspace's."""
    return workspace.trace_sample if principal.trace_sample is None else principal.trace_sample
