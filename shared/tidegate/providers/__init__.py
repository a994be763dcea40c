"""Providers: each translates one upstream dialect to and from OpenAI's, without I/O; imported when a call needs it.

base              the protocols `Provider` and `Translator`, the request for a provider, its authentication
registry          all providers by name, with the settings that each needs
compatible        the built-in providers that speak OpenAI's dialect, one row each
compatible_row    the type of these rows
operator_rows     the operator's own rows, from `TIDEGATE_PROVIDERS`
request_builder   the request being built, for dialects other than OpenAI's
efforts           the caller's reasoning effort, and the token budgets equivalent to it
strict_schemas    schemas that a provider cannot enforce
toolnames         tool names, and ids of tool calls, that a provider accepts
chat_translator   chat completions at one provider: its dialect, and the caller's terms
native            requests in the dialect of their caller, and replies as the provider sends them
native_checks     which requests may go on in the dialect of their caller
account_ids       references to what a provider's account owns
price_fields      fields that change the price, or the model that answers
messages_hosts    Anthropic's Messages API at other hosts: what they take in another form, or refuse
token_counts      requests to count tokens
reply_calls       names and ids of tool calls in replies
caller_terms      restores the caller's tool names and `function_call` in replies
stream_loop       the loop over a stream that every dialect shares
surrogate_pairs   halves of characters that a server has cut over two events
locations         host names that depend on a region
openai/           OpenAI's dialect
openai_responses/  OpenAI's Responses API
azure             Azure OpenAI
anthropic/        Anthropic's Messages API
bedrock/          Amazon Bedrock's Converse API
cohere/           Cohere's chat API
gemini/           Google's Gemini API
vertex            Gemini and Claude on Vertex AI
vertex_claude     Claude on Vertex AI
batch_jobs/       providers' own batch APIs
texts_translator  the parts that translators of operations on texts share
embeddings/       embeddings, in each dialect
moderations/      moderations, in OpenAI's dialect
rerank/           rerank, in the dialects that are close to Cohere's
"""

from tidegate.providers.registry import ProviderSpec, Registry

__all__ = ["ProviderSpec", "Registry"]
