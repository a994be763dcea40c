"""The wire dialect: the chat request, the completion and its chunks, and server-sent events."""
