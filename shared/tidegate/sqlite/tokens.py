"""The tokens of DynamoDB's expressions, read from left to right.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
"""

import re

from tidegate.aws.dynamo import DynamoError

CACHED_EXPRESSIONS = 4096
"""Placeholders are numbered, so that the product has some hundred different expressions."""

_TOKEN = re.compile(r"\s*([#:]?\w+|<>|<=|>=|[=<>(),.])")


class Tokens:
    """The rest of one expression. All methods raise `DynamoError` for a form that the product does not use."""

    def __init__(self, text: str) -> None:
        self._text = text
        tokens: list[str] = []
        position = 0
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.error()
            tokens.append(match[1])
            position = match.end()
        self._left = tokens[::-1]

    def take(self, *expected: str) -> str | None:
        """The next token if it is one of those; otherwise None, and the token stays."""
        return self._left.pop() if self._left and self._left[-1] in expected else None

    def expect(self, token: str) -> None:
        if self.take(token) is None:
            raise self.error()

    def expect_end(self) -> None:
        if self._left:
            raise self.error()

    def is_value(self) -> bool:
        """True if the next token is the placeholder of a value."""
        return bool(self._left) and self._left[-1].startswith(":")

    def value(self) -> str:
        return self._placeholder(":")

    def path(self) -> tuple[str, ...]:
        names = [self._placeholder("#")]
        while self.take("."):
            names.append(self._placeholder("#"))
        return tuple(names)

    def error(self) -> DynamoError:
        return DynamoError("ValidationException", f"Expression not supported: {self._text}")

    def _placeholder(self, sign: str) -> str:
        if not self._left or not self._left[-1].startswith(sign):
            raise self.error()
        return self._left.pop()
