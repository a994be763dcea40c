"""Google's generateContent: chat requests to its JSON, and replies to OpenAI's dialect.

This package serves Gemini on AI Studio; `providers/vertex.py` uses it for Vertex AI.

provider           the `Provider`: URL, credentials, and the functions below
request            a chat request → the request's body
request_builder    the body in progress, and the fields that were not translated
messages           messages → `systemInstruction` and `contents`
media              content parts → Gemini's parts
reasoning_replay   assistant messages → the model's parts, with thought signatures
tools              tools, tool choice and answers in JSON by a function
schema             JSON Schema → the OpenAPI subset of models before Gemini 2
generation_config  limits, sampling, modalities and `response_format` → `generationConfig`
thinking           `reasoning` → a token budget or a thinking level
capabilities       what each model accepts, by name
completion         a reply → a completion
stream             a streamed reply → chunks
choice_stream      one candidate's parts → a choice, for `completion` and `stream`
citations          grounding and citation metadata → annotations
logprobs           log probabilities
usage              token counts, billed searches and service tier
failure            error replies → `UpstreamError`
"""

from tidegate.providers.gemini.provider import PROVIDER

__all__ = ["PROVIDER"]
