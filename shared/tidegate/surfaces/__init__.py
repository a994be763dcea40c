"""Clients' dialects, one pure module each; `tidegate.domain.surface` has their protocol.

late_dialects     the surfaces of the packages below, which are loaded with their first call
messages/         Anthropic's Messages API
responses/        OpenAI's Responses API
completions       OpenAI's legacy text completions
ollama            Ollama's chat
ollama_generate   Ollama's completion of one prompt
ollama_embed      Ollama's embeddings
openai            OpenAI's requests, replies, streams and errors
openrouter        OpenAI's dialect with OpenRouter's ids, errors and `provider`
neuroflash        OpenAI's dialect with neuroflash's ids, a required workspace, and usage at the end of every stream
content_parts     content of chat messages: a single text, and the media of results of tools
sealed_details    reasoning of any provider as one text, which a client returns with its next turn
"""
