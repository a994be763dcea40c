"""Cohere's chat API, version 2.

provider          the `Provider`: URL, key, errors
request           builds the request body
request_builder   the request being built
messages          the conversation in Cohere's form
tools             tools and the tool choice; a JSON answer through a tool
thinking          the request for reasoning
completion        a complete reply
stream            a streamed reply
normalise         pieces shared by complete and streamed replies
"""

from tidegate.providers.cohere.provider import PROVIDER

__all__ = ["PROVIDER"]
