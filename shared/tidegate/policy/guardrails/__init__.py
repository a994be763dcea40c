"""Guardrails: what prompts and answers must not contain. Only `selection` and `protocol` load before a call has any.

selection       which guardrails run on a call: the operator's, the workspace's, and those that the caller names
protocol        `Guard`: what the gateway asks of the guardrails of one call
runner          `GuardRun`: all guardrails of one call, over the prompt and the answer, streamed or not
checks          one guardrail over a list of texts
definition      JSON → `Guardrail`, with all rules for its fields
detectors       kind of guardrail → positions in a text
words           a list of words and phrases
regexes         regular expressions under a time limit
regex_size      the size that a regular expression has when it is compiled
secrets         API keys, tokens and private keys
personal        e-mail addresses, phone numbers, IBANs and card numbers
injection       heuristics for prompt injection
scripts         the scripts (Latin, Cyrillic, …) of a text
schema          which JSON schemas answers can be checked against
conformity      whether a JSON value conforms to such a schema
masking         replaces findings by their labels
window          a streamed text, checked in windows
choice_stream   one streamed choice, checked in windows
"""
