"""Checks texts with Amazon Bedrock's guardrails, whichever model they are for.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ApplyGuardrail.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-use-independent-api.html (November 2026)
"""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from tidegate.domain.guardrails import Guardrail, GuardrailQuery, Verdict
from tidegate.errors import NotConfigured, ProviderMalformed
from tidegate.json import Json, JsonObject, encode
from tidegate.transport.aws_service import AwsService
from tidegate.transport.base import HttpRequest
from tidegate.upstream.guardrails.client import GuardrailClient

MAX_CHARACTERS = 20_000
"""The characters of one request. AWS takes 25 units of 1,000 characters."""

ENDPOINT_SETTING = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
REGION_SETTINGS = ("BEDROCK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
"""The settings of the provider `bedrock`, in order of precedence."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024


async def judge(client: GuardrailClient, guardrail: Guardrail, query: GuardrailQuery) -> Verdict:
    """Check the texts, in several requests if they are long. Raises `UpstreamError` and `NotConfigured`."""
    pieces = [(i, piece) for i, text in enumerate(query.texts) for piece in _pieces(text)]
    new_texts = [""] * len(query.texts)
    for group in _groups(pieces):
        new_pieces = await _apply(client, guardrail, query, [piece for _, piece in group])
        if new_pieces is None:
            return Verdict(False)
        for (i, _), piece in zip(group, new_pieces, strict=True):
            new_texts[i] += piece
    return Verdict(True, tuple(new_texts))


async def _apply(
    client: GuardrailClient, guardrail: Guardrail, query: GuardrailQuery, texts: list[str]
) -> list[str] | None:
    """Return the texts, masked where needed; None if one is blocked."""
    request = await _request(client, guardrail, query, texts)
    match await client.fetch_json(request, query.timeout_seconds, MAX_ANSWER_BYTES):
        case {"action": "NONE"}:
            return texts
        case {"action": "GUARDRAIL_INTERVENED", **fields}:
            if set(_actions(fields.get("assessments"))) != {"ANONYMIZED"}:
                return None
            masked = _outputs(fields.get("outputs"))
            if len(masked) == len(texts):
                return masked
            if len(texts) > 1:  # the outputs do not say which texts they replace: check each text alone
                return await _one_by_one(client, guardrail, query, texts)
        case _:
            pass
    raise ProviderMalformed("Bedrock's guardrail returned an invalid answer.")


async def _one_by_one(
    client: GuardrailClient, guardrail: Guardrail, query: GuardrailQuery, texts: list[str]
) -> list[str] | None:
    new_texts: list[str] = []
    for text in texts:
        new_text = await _apply(client, guardrail, query, [text])
        if new_text is None:
            return None
        new_texts += new_text
    return new_texts


async def _request(
    client: GuardrailClient, guardrail: Guardrail, query: GuardrailQuery, texts: Sequence[str]
) -> HttpRequest:
    if client.aws_keys is None:
        raise NotConfigured("Bedrock's guardrails need AWS credentials: none are configured.")
    region = guardrail.region or await _setting(client, *REGION_SETTINGS) or client.region
    host = (await _setting(client, ENDPOINT_SETTING) or f"https://bedrock-runtime.{region}.amazonaws.com").rstrip("/")
    path = f"/guardrail/{quote(guardrail.guardrail_id or '', safe='')}/version/{guardrail.guardrail_version}/apply"
    content: list[Json] = [{"text": {"text": text}} for text in texts]
    body = encode({"source": "INPUT" if query.stage == "input" else "OUTPUT", "content": content})
    headers = {"content-type": "application/json", "accept": "application/json"}
    service = AwsService(client.transport, client.aws_keys, region, "bedrock", host, client.clock)
    return await service.sign_request(HttpRequest("POST", host + path, headers, body))


async def _setting(client: GuardrailClient, *names: str) -> str | None:
    for name in names:
        value = await client.secrets.get(name)
        if value:
            return value
    return None


def _actions(assessments: Json) -> Iterator[str]:
    """Yield the action that Bedrock took on each finding."""
    match assessments:
        case list():
            for each in assessments:
                yield from _actions(each)
        case dict():
            action = assessments.get("action")
            if isinstance(action, str) and action != "NONE":
                yield action
            for each in assessments.values():
                yield from _actions(each)
        case _:
            pass


def _outputs(outputs: Json) -> list[str]:
    found: list[JsonObject] = [each for each in outputs if isinstance(each, dict)] if isinstance(outputs, list) else []
    return [text for each in found if isinstance(text := each.get("text"), str)]


def _pieces(text: str) -> Iterator[str]:
    for i in range(0, len(text), MAX_CHARACTERS):
        yield text[i : i + MAX_CHARACTERS]


def _groups(pieces: Sequence[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    group: list[tuple[int, str]] = []
    size = 0
    for piece in pieces:
        if group and size + len(piece[1]) > MAX_CHARACTERS:
            yield group
            group, size = [], 0
        group.append(piece)
        size += len(piece[1])
    if group:
        yield group
