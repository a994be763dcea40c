"""Clients' dialects, one pure module each; `tidegate.domain.surface` has their protocol.

openai        OpenAI's requests, replies, streams and errors
openrouter    OpenAI's dialect with OpenRouter's ids, errors and `provider`
neuroflash    OpenAI's dialect with neuroflash's ids, a required workspace, and usage at the end of every stream
"""
