"""AWS's prices, on demand in us-east-1 and beyond the free tiers, that a batch or a live call meets."""

from typing import NamedTuple


class Price(NamedTuple):
    """US dollars for `per` units. `source` is AWS's own page, `quoted` one that quotes it, read on `checked`."""

    usd: float
    per: float
    source: str
    quoted: str
    checked: str


_MILLION = 1_000_000

WRITE_UNITS = Price(
    *(0.625, _MILLION, "https://aws.amazon.com/dynamodb/pricing/on-demand/"),
    *("the same page", "2026-11-21"),
)
READ_UNITS = Price(0.125, *WRITE_UNITS[1:])
S3_WRITES = Price(
    *(0.005, 1000, "https://aws.amazon.com/s3/pricing/"),
    *("https://c3x.dev/blog/s3-request-fees-explained", "2026-11-30"),
)
"""PUT, COPY, POST and LIST. Deletions are free, and so are bytes between S3 and Lambda in a region."""

S3_READS = Price(0.0004, *S3_WRITES[1:])
SQS_REQUESTS = Price(
    *(0.40, _MILLION, "https://aws.amazon.com/sqs/pricing/"),
    *("https://cloudburn.io/blog/amazon-sqs-pricing", "2026-11-30"),
)
"""A request for each 64 KB; a receive that finds nothing is a request."""

EVENTS = Price(
    *(1.00, _MILLION, "https://aws.amazon.com/eventbridge/pricing/"),
    *("https://cloudburn.io/blog/amazon-eventbridge-pricing", "2026-11-30"),
)
INVOCATIONS = Price(
    *(0.20, _MILLION, "https://aws.amazon.com/lambda/pricing/"),
    *("https://cloudchipr.com/blog/aws-lambda-pricing", "2026-11-30"),
)
ARM64_GB_SECONDS = Price(0.0000133334, 1, *INVOCATIONS[2:])
REST_API_REQUESTS = Price(
    *(3.50, _MILLION, "https://aws.amazon.com/api-gateway/pricing/"),
    *("https://www.wring.co/blog/aws-api-gateway-pricing-guide", "2026-11-30"),
)
