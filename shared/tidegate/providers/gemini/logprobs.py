"""Google's log probabilities in OpenAI's format.

Source: https://ai.google.dev/api/generate-content#LogprobsResult (2026-11).
"""

from tidegate.json import Json, JsonObject


def parse_logprobs(raw: Json) -> Json:
    """Return the log probabilities in OpenAI's format, None if there are none."""
    match raw:
        case {"chosenCandidates": list(chosen)}:
            top_candidates = raw.get("topCandidates")
            top_list = top_candidates if isinstance(top_candidates, list) else []
        case _:
            return None
    content: list[Json] = []
    for index, token in enumerate(chosen):
        alternatives: Json = top_list[index] if index < len(top_list) else None
        ranked = alternatives.get("candidates") if isinstance(alternatives, dict) else None
        top: list[Json] = [_parse_token(candidate) for candidate in ranked] if isinstance(ranked, list) else []
        content.append({**_parse_token(token), "top_logprobs": top})
    return {"content": content, "refusal": None}


def _parse_token(raw: Json) -> JsonObject:
    match raw:
        case {"token": str(token), "logProbability": float() | int() as logprob}:
            return {"token": token, "logprob": float(logprob), "bytes": list(token.encode())}
        case {"token": str(token)}:
            return {"token": token, "logprob": 0.0, "bytes": list(token.encode())}  # 0 is left out of Google's JSON
        case _:
            return {"token": "", "logprob": 0.0, "bytes": []}
