"""A guardrail: what a prompt or an answer must not hold, and what happens when it does."""

from typing import Literal, Protocol

from msgspec import Struct

GuardrailKind = Literal[
    "regex",
    "words",
    "secrets",
    "personal",
    "injection",
    "max_input",
    "json_schema",
    "scripts",
    "bedrock",
    "webhook",
]
Stage = Literal["input", "output"]
StageSelection = Literal["input", "output", "both"]
GuardrailAction = Literal["block", "mask"]
StreamMode = Literal["buffer", "window"]
FailureMode = Literal["closed", "open"]
Entity = Literal[
    "EMAIL",
    "PHONE",
    "IBAN",
    "CARD",
    "OPENAI_KEY",
    "ANTHROPIC_KEY",
    "AWS_KEY",
    "GOOGLE_KEY",
    "GITHUB_TOKEN",
    "SLACK_TOKEN",
    "PRIVATE_KEY",
    "JWT",
]

PERSONAL_ENTITIES: tuple[Entity, ...] = ("EMAIL", "PHONE", "IBAN", "CARD")
SECRET_ENTITIES: tuple[Entity, ...] = (
    "OPENAI_KEY",
    "ANTHROPIC_KEY",
    "AWS_KEY",
    "GOOGLE_KEY",
    "GITHUB_TOKEN",
    "SLACK_TOKEN",
    "PRIVATE_KEY",
    "JWT",
)

DETECTOR_KINDS: frozenset[GuardrailKind] = frozenset({"regex", "words", "secrets", "personal"})
"""Kinds that say where they found something: only of those can a stream be checked in windows."""

REMOTE_KINDS: frozenset[GuardrailKind] = frozenset({"bedrock", "webhook"})
"""Kinds that ask somebody else."""


class Guardrail(Struct, frozen=True):
    """One guardrail by its name. The fields of other kinds are empty; `policy/guardrails/definition.py` checks them.

    `stream` None is the kind's own mode, see `mode`. `always`: it runs on every call, also where the caller does not
    name it. A window holds back `window_characters` of a stream: what is found must not be longer. `schema` is the
    text of a JSON schema, None the one that the request asks its answer to have. `secret` is the name of the setting
    with the webhook's bearer token. `fails` decides what happens when it cannot be asked, or not in time.
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
        """How a stream is checked: what needs the whole answer holds it until it is there."""
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
"""What callers may name without any configuration."""


class Finding(Struct, frozen=True):
    """Something at `start` to `end` of a text, and the word that may stand in its place ("[EMAIL]")."""

    start: int
    end: int
    label: str


class Verdict(Struct, frozen=True):
    """What somebody else says of texts: whether they pass, and `texts` of equal number to be put in their place."""

    passes: bool
    texts: tuple[str, ...] | None = None


class GuardrailQuery(Struct, frozen=True):
    """What somebody else is asked of `texts`, within `seconds`. `is_trusted`: the operator wrote the guardrail."""

    call_id: str
    workspace_id: str
    model: str
    stage: Stage
    texts: tuple[str, ...]
    timeout_seconds: float
    is_trusted: bool


class GuardrailBackend(Protocol):
    """Who is asked by guardrails that do not decide themselves."""

    async def judge(self, guardrail: Guardrail, query: GuardrailQuery) -> Verdict:
        """Raises `GuardrailUnavailable` when there is no answer, or none in time."""
        ...
