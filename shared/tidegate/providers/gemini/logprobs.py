"""Log probabilities, in OpenAI's terms.

Source: https://ai.google.dev/api/generate-content#LogprobsResult (2026-11).
"""

from tidegate.errors import ProviderMalformed
from tidegate.json import Json, JsonObject


def read(raw: Json) -> Json:
    """OpenAI's log probabilities, None where there are none."""
    match raw:
        case {"chosenCandidates": list(chosen)}:
            tops = raw.get("topCandidates")
            listed = tops if isinstance(tops, list) else []
        case _:
            return None
    content: list[Json] = []
    for place, token in enumerate(chosen):
        others: Json = listed[place] if place < len(listed) else None
        ranked = others.get("candidates") if isinstance(others, dict) else None
        top: list[Json] = [_token(one) for one in ranked] if isinstance(ranked, list) else []
        content.append({**_token(token), "top_logprobs": top})
    return {"content": content, "refusal": None}


def _token(raw: Json) -> JsonObject:
    match raw:
        case {"token": str(token), "logProbability": float() | int() as logprob}:
            return {"token": token, "logprob": float(logprob), "bytes": list(token.encode())}
        case {"token": str(token)}:
            return {"token": token, "logprob": 0.0, "bytes": list(token.encode())}  # 0 is left out of Google's JSON
        case _:
            raise ProviderMalformed("The provider's log probability is of no token.")
