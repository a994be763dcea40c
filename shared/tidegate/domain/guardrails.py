"""Guardrails: checks of prompts and answers, what they find, and what happens then."""

from typing import Literal, Protocol, get_args

from msgspec import Struct

GuardrailKind = Literal[
    "regex", "words", "secrets", "personal", "injection", "max_input", "json_schema", "scripts", "bedrock", "webhook"
]
Stage = Literal["input", "output"]
StageSelection = Literal["input", "output", "both"]
GuardrailAction = Literal["block", "mask"]
StreamMode = Literal["buffer", "window"]
FailureMode = Literal["closed", "open"]
PersonalEntity = Literal["EMAIL", "PHONE", "IBAN", "CARD"]
SecretEntity = Literal[
    "OPENAI_KEY", "ANTHROPIC_KEY", "AWS_KEY", "GOOGLE_KEY", "GITHUB_TOKEN", "SLACK_TOKEN", "PRIVATE_KEY", "JWT"
]
Entity = Literal[PersonalEntity, SecretEntity]

PERSONAL_ENTITIES: tuple[PersonalEntity, ...] = get_args(PersonalEntity)
SECRET_ENTITIES: tuple[SecretEntity, ...] = get_args(SecretEntity)

DETECTOR_KINDS: frozenset[GuardrailKind] = frozenset({"regex", "words", "secrets", "personal"})
"""Kinds that report positions in the text. Only these can check a stream in windows."""

REMOTE_KINDS: frozenset[GuardrailKind] = frozenset({"bedrock", "webhook"})
"""Kinds that call an external service."""


QUICK_KINDS: frozenset[GuardrailKind] = frozenset({"words", "secrets", "personal", "max_input"})
"""Kinds that ask nobody, and take at most 0.5 ms for 8 KB. The others take 0.8 (`scripts`) and 3.5 (`injection`), or as
long as the operator's pattern, schema or service (2026-11).
"""


class Guardrail(Struct, frozen=True):
    """A named guardrail. Fields of other kinds keep their defaults; `policy/guardrails/definition.py` validates them.

    `stream` None selects the kind's default, see `stream_mode`. `always`: it runs on every call, even if the caller
    does not name it. A window holds back `window_characters` of a stream, the longest match that it can find. `schema`
    is the text of a JSON schema; None uses the request's `response_format`. `secret` is the setting that holds the
    webhook's bearer token. `fails`: pass ("open") or block ("closed") when the service does not answer in time.
    """

    name: str
    kind: GuardrailKind
    on: StageSelection = "both"
    action: GuardrailAction = "block"
    stream: StreamMode | None = None
    always: bool = False
    window_characters: int = 256
    patterns: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    scripts: tuple[str, ...] = ()
    max_tokens: int | None = None
    max_characters: int | None = None
    schema: str | None = None
    guardrail_id: str | None = None
    guardrail_version: str = "DRAFT"
    region: str | None = None
    url: str | None = None
    secret: str | None = None
    timeout_seconds: float = 2.0
    fails: FailureMode = "closed"

    @property
    def stream_mode(self) -> StreamMode:
        """How a stream is checked: "window" while it is sent, or "buffer", which sends nothing before the end."""
        return self.stream or ("window" if self.kind in DETECTOR_KINDS else "buffer")

    def runs_on(self, stage: Stage) -> bool:
        return self.on in ("both", stage)


BUILT_IN_GUARDRAILS: dict[str, Guardrail] = {
    guardrail.name: guardrail
    for guardrail in (
        Guardrail("secrets", "secrets"),
        Guardrail("secrets-mask", "secrets", action="mask"),
        Guardrail("personal-data", "personal"),
        Guardrail("personal-data-mask", "personal", action="mask"),
        Guardrail("prompt-injection", "injection", on="input"),
        Guardrail("json-schema", "json_schema", on="output"),
    )
}
"""Guardrails that callers may name without any configuration."""


class Finding(Struct, frozen=True):
    """A match from `start` to `end` of a text, and the label that replaces it when it is masked ("[EMAIL]")."""

    start: int
    end: int
    label: str


class Verdict(Struct, frozen=True):
    """A service's decision: whether the texts pass, and as many `texts` to replace them; None changes nothing."""

    passes: bool
    texts: tuple[str, ...] | None = None


class GuardrailQuery(Struct, frozen=True):
    """Texts for a service to check within `timeout_seconds`. `is_trusted`: the operator defined the guardrail."""

    call_id: str
    workspace_id: str
    model: str
    stage: Stage
    texts: tuple[str, ...]
    timeout_seconds: float
    is_trusted: bool


class GuardrailBackend(Protocol):
    """The external services behind guardrails of `REMOTE_KINDS`.

    Example: `verdict = await backend.judge(guardrail, query)`.
    """

    async def judge(self, guardrail: Guardrail, query: GuardrailQuery) -> Verdict:
        """The service's verdict. Raises `GuardrailUnavailable` if it does not answer in time."""
        ...
