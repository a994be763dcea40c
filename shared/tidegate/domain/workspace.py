"""Who calls, and on whose account."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["active", "suspended"]
KeyStatus = Literal["active", "revoked"]
WordsMethod = Literal["tokens", "unicode"]


@dataclass(frozen=True, slots=True)
class Workspace:
    """A tenant: what is metered, and how its words are counted.

    `words_method` "tokens" counts `round(0.75 × completion_tokens)`, "unicode" counts the output by UAX #29.
    """

    id: str
    name: str
    status: Status = "active"
    created_at: float = 0.0
    words_method: WordsMethod = "tokens"
    charge_input_words: bool = False


@dataclass(frozen=True, slots=True)
class VirtualKey:
    """A bearer key, known by the sha-256 of its secret. `prefix` is what a person may see of it."""

    id: str
    hash: str
    prefix: str
    workspace_ids: tuple[str, ...]
    default_workspace_id: str | None
    name: str = ""
    status: KeyStatus = "active"
    created_at: float = 0.0
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, once it has been proved."""

    key_id: str
    workspace_ids: tuple[str, ...]
