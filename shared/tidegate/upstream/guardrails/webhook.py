"""Checks texts with a webhook: one POST with the texts, answered with a verdict.

The protocol is Tidegate's own: `docs/GUARDRAILS.md`. A workspace's webhook must have a public address, which is
resolved once and then connected to; the operator's may have any address, and gets a bearer token.
"""

from typing import cast

from tidegate.domain.guardrails import Guardrail, GuardrailQuery, Verdict
from tidegate.errors import NotConfigured, ProviderMalformed
from tidegate.json import Json, encode
from tidegate.transport.base import HttpRequest
from tidegate.upstream.guardrails.client import GuardrailClient

MAX_ANSWER_BYTES = 16 * 1024 * 1024


async def judge(client: GuardrailClient, guardrail: Guardrail, query: GuardrailQuery) -> Verdict:
    """Send the texts. Raises `UpstreamError`, `InvalidRequest` for an address that is not public, `NotConfigured`."""
    url = guardrail.url or ""
    headers = {"content-type": "application/json", "accept": "application/json"}
    if guardrail.secret is not None and query.is_trusted:
        token = await client.secrets.get(guardrail.secret)
        if not token:
            raise NotConfigured(f"The guardrail {guardrail.name!r} needs the setting {guardrail.secret}.")
        headers["authorization"] = f"Bearer {token}"
    address = None if query.is_trusted else await client.fetcher.find_public_address(url, "url")
    body = {
        "guardrail": guardrail.name,
        "stage": query.stage,
        "call_id": query.call_id,
        "workspace_id": query.workspace_id,
        "model": query.model,
        "texts": query.texts,
    }
    request = HttpRequest("POST", url, headers, encode(body), address)
    return _parse_verdict(await client.fetch_json(request, query.timeout_seconds, MAX_ANSWER_BYTES), len(query.texts))


def _parse_verdict(answer: Json, count: int) -> Verdict:
    match answer:
        case {"verdict": "pass"}:
            return Verdict(True)
        case {"verdict": "block"}:
            return Verdict(False)
        case {"verdict": "mask", "texts": list(texts)} if len(texts) == count:
            if all(isinstance(text, str) for text in texts):
                return Verdict(True, tuple(cast("list[str]", texts)))
        case _:
            pass
    raise ProviderMalformed("The guardrail webhook returned an invalid verdict.")
