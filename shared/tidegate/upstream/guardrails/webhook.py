"""A guardrail's webhook: one POST with the texts, whose answer says what becomes of them.

The protocol is ours: `docs/GUARDRAILS.md`. A workspace's webhook must be at a public address, which is looked up once
and connected to; the operator's own may be anywhere, and gets a bearer token.
"""

from typing import cast

from tidegate.domain.guardrails import Guardrail, Judgement, Question
from tidegate.errors import NotConfigured, ProviderMalformed
from tidegate.json import Json, encode
from tidegate.transport.base import HttpRequest
from tidegate.upstream.guardrails.backends import Judges

MAX_ANSWER_BYTES = 16 * 1024 * 1024


async def judge(judges: Judges, guardrail: Guardrail, question: Question) -> Judgement:
    """Raises `UpstreamError`, `InvalidRequest` for an address that may not be asked, `NotConfigured`."""
    url = guardrail.url or ""
    headers = {"content-type": "application/json", "accept": "application/json"}
    if guardrail.secret is not None and question.is_trusted:
        token = await judges.secrets.get(guardrail.secret)
        if not token:
            raise NotConfigured(f"Set {guardrail.secret}.")
        headers["authorization"] = f"Bearer {token}"
    address = None if question.is_trusted else await judges.fetcher.address(url, "url")
    body = {
        "guardrail": guardrail.name,
        "stage": question.stage,
        "call_id": question.call_id,
        "workspace_id": question.workspace_id,
        "model": question.model,
        "texts": question.texts,
    }
    request = HttpRequest("POST", url, headers, encode(body), address)
    return _read(await judges.ask(request, question.seconds, MAX_ANSWER_BYTES), len(question.texts))


def _read(answer: Json, count: int) -> Judgement:
    match answer:
        case {"verdict": "pass"}:
            return Judgement(True)
        case {"verdict": "block"}:
            return Judgement(False)
        case {"verdict": "mask", "texts": list(texts)} if len(texts) == count:
            if all(isinstance(text, str) for text in texts):
                return Judgement(True, tuple(cast("list[str]", texts)))
        case _:
            pass
    raise ProviderMalformed("A verdict that is none.")
