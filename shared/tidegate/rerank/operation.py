"""Rerank as an `Operation`."""

from collections.abc import Mapping

from tidegate.domain.operation import Reply, Request, Stamp
from tidegate.rerank.request import RerankRequest
from tidegate.texts.operation import TextsOperation


class RerankOperation(TextsOperation, frozen=True):
    """The `Operation` of `POST …/rerank`."""

    def with_stamp(self, reply: Reply, stamp: Stamp, usage: Mapping[str, object]) -> Reply:
        """See `TextsOperation.with_stamp`. What is charged stands where Cohere's clients look for it, too."""
        shown = {name: value for name, value in usage.items() if name not in ("server_tool_use", "num_search_queries")}
        searches = usage.get("num_search_queries", usage.get("search_units"))
        billed: dict[str, object] = {"input_tokens": usage.get("prompt_tokens")}
        if searches is not None:
            billed = {"search_units": searches}
            shown |= billed
        return {
            **super().with_stamp(reply, stamp, shown),
            "meta": {"api_version": {"version": "2"}, "billed_units": billed},
        }

    def with_other_prompt(self, request: Request, text: str) -> Request:
        return request.with_body({**request.body, "query": text})


RERANK = RerankOperation("rerank", "query", RerankRequest, "results")
"""The `Operation` of `POST …/rerank`."""
