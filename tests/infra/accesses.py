"""What IAM is asked for by the requests that the functions send to AWS, and a transport that asks a role first."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.infra.roles import ACCOUNT, Access, Role
from tidegate.transport.base import HttpRequest, HttpResponse, Timeouts, Transport

LEADING_KEYS, ATTRIBUTES, SELECT = "dynamodb:LeadingKeys", "dynamodb:Attributes", "dynamodb:Select"

KMS_CONTEXT = "kms:EncryptionContext"

_OBJECT = re.compile(r"https?://[^/]+/([^/?]+)/[^?]")
_SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/(\w+)/aws4_request")


@dataclass
class GuardedTransport:
    """Sends what the role allows, and fails otherwise. `seen` has what was allowed."""

    inner: Transport
    role: Role
    seen: list[Access] = field(default_factory=list[Access])

    @asynccontextmanager
    async def open(self, request: HttpRequest, timeouts: Timeouts) -> AsyncIterator[HttpResponse]:
        for access in accesses(request):
            assert self.role.allows(access), f"{self.role.name} does not allow {access}"
            self.seen.append(access)
        async with self.inner.open(request, timeouts) as response:
            if response.status == 404 and (found := _OBJECT.search(request.url)) and "/s3/" in str(request.headers):
                missing = Access("s3:ListBucket", f"arn:aws:s3:::{found[1]}")
                assert self.role.allows(missing), f"{self.role.name} would get a 403 instead of a 404"
                self.seen.append(missing)
            yield response

    async def close(self) -> None:
        await self.inner.close()


def accesses(request: HttpRequest) -> Iterator[Access]:
    """What a signed request to AWS asks IAM for; nothing if it is a request to somebody else."""
    signed = _SERVICE.search(request.headers.get("authorization", ""))
    match signed[1] if signed else "":
        case "":
            return
        case "s3":
            yield from _of_s3(request)
        case service:
            action = request.headers["x-amz-target"].partition(".")[2]
            yield from _of_json(service, action, json.loads(request.body))


def _of_s3(request: HttpRequest) -> Iterator[Access]:
    """S3's actions are named neither by methods nor by its operations.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html (read 2026-11)
    """
    parts = urlsplit(request.url)
    path, query = unquote(parts.path).lstrip("/"), parse_qs(parts.query, keep_blank_values=True)
    bucket, _, key = path.partition("/")
    if "delete" in query:
        for deleted in re.findall("<Key>([^<]*)</Key>", request.body.decode()):
            yield Access("s3:DeleteObject", f"arn:aws:s3:::{bucket}/{unescape(deleted)}")
        return
    if not key:
        assert "list-type" in query, f"It is not known what {request.method} {request.url} asks for."
        yield Access("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        return
    actions = {"GET": "GetObject", "PUT": "PutObject", "POST": "PutObject", "DELETE": "DeleteObject"}
    action = "AbortMultipartUpload" if request.method == "DELETE" and "uploadId" in query else actions[request.method]
    yield Access(f"s3:{action}", f"arn:aws:s3:::{path}")
    if source := request.headers.get("x-amz-copy-source"):
        yield Access("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}")


def _of_json(service: str, action: str, body: Any) -> Iterator[Access]:
    match service, body:
        case "dynamodb", _:
            yield from _of_dynamodb(action, body)
        case "events", {"Entries": list(entries)}:
            for entry in entries:
                yield Access(f"events:{action}", f"arn:aws:events:{ACCOUNT}:event-bus/{entry['EventBusName']}")
        case "sqs", {"QueueUrl": str(url)}:
            yield Access(f"sqs:{action}", f"arn:aws:sqs:{ACCOUNT}:{url.rpartition('/')[2]}")
        case "kms", {"KeyId": str(key), "EncryptionContext": dict(context)}:
            yield Access(f"kms:{action}", key, {f"{KMS_CONTEXT}:{name}": (value,) for name, value in context.items()})
        case "secretsmanager", {"SecretId": str(name)} | {"Name": str(name)}:
            # Secrets Manager appends a hyphen and six characters to the name.
            arn = f"arn:aws:secretsmanager:{ACCOUNT}:secret:{name}-AbCdEf"
            yield Access(f"secretsmanager:{action}", arn)
        case _:
            raise NotImplementedError(f"It is not known what {service}:{action} asks for.")


def _of_dynamodb(action: str, body: Any) -> Iterator[Access]:
    match action, body:
        case "BatchGetItem", {"RequestItems": dict(tables)}:
            for table, asked in tables.items():
                yield _item_access(action, str(table), *(key["pk"]["S"] for key in asked["Keys"]))
        case "TransactWriteItems", {"TransactItems": list(writes)}:  # authorised as the writes in it
            for write in writes:
                [(verb, each)] = write.items()
                yield _write_access("ConditionCheckItem" if verb == "ConditionCheck" else f"{verb}Item", each)
        case "Query", _:
            access = _item_access(action, body["TableName"], _queried_partition(body))
            attributes = {SELECT: (body["Select"],), ATTRIBUTES: _read_attributes(body)} if "Select" in body else {}
            yield replace(access, context={**access.context, **attributes})
        case _:
            yield _write_access(action, body)


def _write_access(action: str, write: Mapping[str, Any]) -> Access:
    return _item_access(action, write["TableName"], (write.get("Key") or write["Item"])["pk"]["S"])


def _item_access(action: str, table: str, *partitions: str) -> Access:
    return Access(f"dynamodb:{action}", f"arn:aws:dynamodb:{ACCOUNT}:table/{table}", {LEADING_KEYS: partitions})


def _read_attributes(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The attributes that a query with a projection reads or compares."""
    names: Mapping[str, str] = body["ExpressionAttributeNames"]
    assert set(body["ProjectionExpression"].split(", ")) <= names.keys()
    return tuple(names.values())


def _queried_partition(body: Mapping[str, Any]) -> str:
    """The partition that a key condition such as `#0 = :0 AND begins_with(#1, :1)` names."""
    names = [name for name, attribute in body["ExpressionAttributeNames"].items() if attribute == "pk"]
    found = re.search(rf"{re.escape(names[0])}\s*=\s*(:\w+)", body["KeyConditionExpression"])
    assert found is not None
    return body["ExpressionAttributeValues"][found[1]]["S"]
