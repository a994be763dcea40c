"""Amazon Bedrock's Converse and ConverseStream."""

from tidegate.providers.bedrock.provider import PROVIDER

__all__ = ["PROVIDER"]
