"""The protocol of a provider's dialect of embeddings, and what one of its requests is made of. Pure."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from tidegate.domain.deployment import Deployment
from tidegate.embeddings.request import Input, input_json
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.providers.base import Auth


class InputLimits(NamedTuple):
    """The most inputs of one request to a provider, and the most tokens in all of them. None is not limited."""

    inputs: int | None = None
    tokens: int | None = None


class EmbeddingsWork(Struct):
    """The caller's wishes for one request. A dialect takes the fields that it can honour; the others are ignored."""

    fields: JsonObject
    purpose: str | None
    encoding: str

    def take(self, name: str) -> Json:
        """Remove a field from the caller's and return its value, None if it was not sent."""
        return self.fields.pop(name, None)

    def take_purpose(self) -> str | None:
        """Remove the field that says what the texts are for, and return its value."""
        for name in ("input_type", "task", "task_type"):
            self.fields.pop(name, None)
        return self.purpose


class EmbeddingsTarget(NamedTuple):
    """Where a request goes: its URL, its body and its credentials."""

    url: str
    body: JsonObject
    auth: Auth


class Vectors(NamedTuple):
    """The vectors of a reply, in the order of its inputs, and the tokens that the provider counted."""

    vectors: Sequence[Json]
    tokens: Json


class EmbeddingsDialect(Protocol):
    """Translates embeddings for one provider."""

    def limits(self, model: str) -> InputLimits: ...

    def target(self, work: EmbeddingsWork, inputs: Sequence[Input], deployment: Deployment) -> EmbeddingsTarget:
        """Translate one request. Raises `InvalidRequest` for a value that cannot be translated."""
        ...

    def parse(self, body: JsonObject) -> Vectors:
        """Read a reply. Raises `ValueError` with what is wrong with it."""
        ...


def texts_only(inputs: Sequence[Input], provider: str) -> list[Json]:
    """Return the inputs, which must be texts. Raises `InvalidRequest` for tokens: no other model has the same ones."""
    if not all(isinstance(each, str) for each in inputs):
        message = (
            f"{provider} takes texts, not tokens. Send texts: in LangChain, check_embedding_ctx_length=False does that."
        )
        raise InvalidRequest(message, param="input")
    return [input_json(each) for each in inputs]
