"""The `Translator` of rerank at one provider. All dialects are close to Cohere's; a quirk is data.

Sources, read in 2026-11: https://docs.cohere.com/reference/rerank, https://api.jina.ai/redoc,
https://docs.voyageai.com/reference/reranker-api, https://docs.together.ai/reference/rerank,
https://docs.vllm.ai/en/latest/serving/openai_compatible_server/ (re-rank API),
https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-supported.html (InvokeModel; version 2 of Cohere's API).
"""

from collections.abc import Callable, Mapping
from typing import TypeGuard

from msgspec import Struct, field

from tidegate.domain.call import Call
from tidegate.domain.deployment import Deployment
from tidegate.domain.operation import Reply
from tidegate.domain.usage import Usage, parse_count
from tidegate.json import Json, JsonObject, encode
from tidegate.providers.base import Auth, KeyAuth, UpstreamRequest
from tidegate.providers.texts_translator import TextsTranslator, caller_fields, input_usage, notes_of
from tidegate.rerank.request import RerankCall, RerankRequest


class RerankQuirks(Struct, frozen=True):
    """How a provider's rerank deviates from Cohere's.

    `path` is that of its API. `limit` is its name of the field `top_n`. `has_model`: the body has the model.
    `fixed` are fields of every request to a model whose name has the key. `extra` are those of the caller that are sent
    as they are; None: all are. `charges_searches`: a reply that does not say what is charged has taken searches.
    """

    path: str = "/rerank"
    limit: str = "top_n"
    has_model: bool = True
    fixed: Mapping[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    extra: frozenset[str] | None = frozenset()
    charges_searches: bool = False


class RerankTranslator(TextsTranslator, frozen=True, kw_only=True):
    """Translates rerank with the quirks of its provider. See `Translator`."""

    quirks: RerankQuirks
    url: Callable[[Deployment, str], str]
    auth: Callable[[Deployment], Auth] = lambda _: KeyAuth()

    def build_request(self, call: Call, deployment: Deployment) -> UpstreamRequest:
        request, quirks = _rerank(call).request, self.quirks
        body: JsonObject = {"model": deployment.model} if quirks.has_model else {}
        body |= {"query": request.fields.query, "documents": [*request.documents]}
        for part, fields in quirks.fixed.items():
            if part in deployment.model:
                body |= fields
        if request.top_n is not None:
            body[quirks.limit] = request.top_n
        known = {"query", "documents", "top_n", "top_k", "return_documents"}
        others = {name: value for name, value in caller_fields(request.body).items() if name not in known}
        sent = {name for name in others if quirks.extra is None or name in quirks.extra}
        body |= {name: others[name] for name in sent}
        ignored = tuple(name for name in others if name not in sent)
        auth = self.auth(deployment)
        return UpstreamRequest(
            self.url(deployment, quirks.path), encode(body), auth=auth, ignored=ignored, notes=request
        )

    def parse_reply(self, request: UpstreamRequest, body: Json) -> Reply:
        rerank_request = notes_of(request, RerankRequest)
        match body:
            case {"results": [*entries]} | {"data": [*entries]}:
                results = [self._result(entry, rerank_request) for entry in entries]
            case {"error": dict()}:
                raise self.parse_error(400, {}, body)
            case _:
                raise self.malformed("it has no list of results")
        usage = _usage(body)
        if usage is None and self.quirks.charges_searches:
            usage = _searched(rerank_request.searches)
        return {"results": results, "usage": usage}

    def _result(self, entry: Json, rerank_request: RerankRequest) -> JsonObject:
        documents = rerank_request.documents
        match entry:
            case {"index": int(index), "relevance_score": int() | float() as score} if 0 <= index < len(documents):
                result: JsonObject = {"index": index, "relevance_score": score}
            case _:
                raise self.malformed("a result has no index or no score")
        if rerank_request.fields.return_documents:
            result["document"] = {"text": documents[index]}
        return result


def _usage(body: JsonObject) -> Usage | None:
    """Return what the provider charges for: searches, or tokens."""
    match body:
        case {"meta": {"billed_units": {"search_units": searches}}} if searches is not None:
            return _searched(parse_count(searches))
        case {"usage": {"search_units": searches}} if searches is not None:
            return _searched(parse_count(searches))
        case {"usage": {"total_tokens": tokens}}:
            return input_usage(tokens)
        case _:
            return None


def _searched(searches: int) -> Usage:
    """Return the usage of a call that is charged by searches: its tokens are not counted."""
    return Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0, num_search_queries=searches, estimated=True)


def _is_rerank(call: Call) -> TypeGuard[RerankCall]:
    return isinstance(call.request, RerankRequest)


def _rerank(call: Call) -> RerankCall:
    if not _is_rerank(call):
        raise TypeError("A translator of rerank got a call of another operation.")
    return call
