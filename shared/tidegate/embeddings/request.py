"""A request for embeddings: a text, a list of texts, tokens, or a list of lists of tokens.

Source: https://platform.openai.com/docs/api-reference/embeddings/create (2026-11). `input_type` is what OpenRouter,
Cohere, Voyage and NVIDIA call the purpose of the texts; Jina calls it `task`, and Google `task_type`.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, TypeAlias, TypeGuard

from msgspec import Meta

from tidegate.domain.call import CallOf
from tidegate.domain.operation import Text
from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject
from tidegate.texts.fields import TextsFields, convert
from tidegate.texts.request import TextsRequest

MAX_INPUTS = 4_096
"""The most texts of one call: twice what OpenAI takes in one request. Longer lists belong in a batch."""

Token = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Tokens = Annotated[list[Token], Meta(min_length=1)]
Purpose = Annotated[str, Meta(min_length=1, max_length=64)]

Input: TypeAlias = str | list[int]
"""One text, or its tokens."""


class EmbeddingsFields(TextsFields, frozen=True, kw_only=True):
    """The fields that the gateway validates, each by type and range; null means absent."""

    input: str | Annotated[list[str | Token | Tokens], Meta(min_length=1)]
    dimensions: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    input_type: Purpose | None = None
    task: Purpose | None = None
    task_type: Purpose | None = None


class EmbeddingsRequest(TextsRequest, frozen=True):
    """A request for one vector for each of its `inputs`."""

    fields: EmbeddingsFields

    @classmethod
    def parse_fields(cls, body: JsonObject) -> EmbeddingsFields:
        fields = convert(body, EmbeddingsFields)
        _check_input(fields.input)
        return fields

    @property
    def inputs(self) -> list[Input]:
        """The texts, or the tokens of each."""
        value = self.fields.input
        if isinstance(value, str):
            return [value]
        if _are_tokens(value):
            return [value]
        return [each for each in value if not isinstance(each, int)]

    @property
    def purpose(self) -> str | None:
        """The purpose of the texts, as the caller names it; None if it is not told."""
        return self.fields.input_type or self.fields.task or self.fields.task_type

    @property
    def encoding(self) -> str:
        """The form of the vectors that the caller wants: "float" or "base64"."""
        return self.fields.encoding_format or "float"

    @property
    def known_tokens(self) -> int:
        return sum(len(each) for each in self.inputs if not isinstance(each, str))

    @property
    def parts(self) -> int:
        return len(self.inputs)

    def prompt_texts(self) -> Iterator[str]:
        return (each for each in self.inputs if isinstance(each, str))

    def texts(self) -> Sequence[Text]:
        """See `TextsRequest.texts`. Tokens are not readable: guardrails count them alone."""
        is_list = isinstance(self.fields.input, list) and not _are_tokens(self.fields.input)
        return [
            Text(each, path) if isinstance(each, str) else Text(" ".join(map(str, each)), path, kind="encoded")
            for index, each in enumerate(self.inputs)
            for path in (f"input[{index}]" if is_list else "input",)
        ]

    def body_with_texts(self, texts: Sequence[str]) -> JsonObject:
        if isinstance(self.fields.input, str):
            return {**self.body, "input": texts[0]}
        pairs = zip(self.inputs, texts, strict=True)
        changed = [text if isinstance(each, str) else input_json(each) for each, text in pairs]
        return {**self.body, "input": changed[0] if _are_tokens(self.fields.input) else changed}


def input_json(value: Input) -> Json:
    """Return an input as JSON."""
    return value if isinstance(value, str) else [*value]


EmbeddingsCall: TypeAlias = CallOf[EmbeddingsRequest]
"""A call that asks for embeddings."""


def _are_tokens(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and isinstance(value[0], int)


def _check_input(value: str | list[str | int | list[int]]) -> None:
    """Raise `InvalidRequest` for an empty text, for a mixed list, and for a list that is too long."""
    if isinstance(value, str):
        if not value:
            raise InvalidRequest("'input' must not be an empty text.", param="input")
        return
    kinds = {type(each) for each in value}
    if len(kinds) > 1:
        message = "'input' must be a list of one kind: of texts, of tokens, or of lists of tokens."
        raise InvalidRequest(message, param="input")
    if kinds != {int} and len(value) > MAX_INPUTS:
        message = f"'input' has {len(value):,} texts. A call may have {MAX_INPUTS:,}: send the others in more calls."
        raise InvalidRequest(message, param="input")
    for index, each in enumerate(value):
        if each == "":
            raise InvalidRequest(f"'input[{index}]' must not be an empty text.", param=f"input[{index}]")
