"""What the reply to a dry run shows: each turn that there may be, and the request that would be sent."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct, field

from tidegate.domain.deployment import Deployment
from tidegate.domain.record import iso_time
from tidegate.domain.routes import Route
from tidegate.errors import TidegateError
from tidegate.json import Json, JsonObject, decode
from tidegate.policy.routing.fallback import Candidate
from tidegate.providers.base import KeyAuth, SigV4Auth, UpstreamRequest


class Step(Struct):
    """One deployment's turn: how far the call would come there, and the `error` that would end it.

    Of those of a `route`, `cools_until` (UTC seconds) is when it may be asked as usual again.
    """

    candidate: Candidate
    when: str
    deployment: Deployment | None = None
    route: Route | None = None
    cools_until: float | None = None
    error: TidegateError | None = None
    fields: JsonObject = field(default_factory=dict[str, Json])


def step_json(step: Step) -> JsonObject:
    """The turn as JSON, with the same fields whatever becomes of it."""
    deployment = step.deployment
    return {
        "path": step.candidate.path,
        "when": step.when,
        "model": deployment.model_id if deployment else step.candidate.request.model,
        "provider": deployment.provider if deployment else None,
        "deployment": deployment.label if deployment else None,
        "route": _route_json(step.route) if step.route else None,
        "cools_until": None if step.cools_until is None else iso_time(step.cools_until),
        "allowed": step.error is None,
        "error": error_json(step.error),
        **{"request": None, "mapped": {}, "ignored": [], "refused": {}},
        **{"max_output_tokens": None, "largest_cost_usd": None, "omitted": False},
        **step.fields,
    }


def _route_json(route: Route) -> JsonObject:
    """What of it every turn has to do with."""
    names = ("name", "by", "timeout_seconds", "hedge_after_seconds")
    return {name: getattr(route, name) for name in names}


def error_json(error: TidegateError | None) -> JsonObject | None:
    """The failure as its reply would tell it, with its status."""
    if error is None:
        return None
    body: JsonObject = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return {"status": error.status, **body}


def request_json(request: UpstreamRequest, deployment: Deployment, stand_ins: Mapping[bytes, bytes]) -> JsonObject:
    """The request but for its credentials, whose names stand in their place."""
    body = request.body
    for stand_in, words in stand_ins.items():
        body = body.replace(stand_in, words)
    headers: dict[str, Json] = {**request.headers, **_credentials(request, deployment)}
    return {"method": "POST", "url": _without_userinfo(request.url), "headers": headers, "body": decode(body)}


def _credentials(request: UpstreamRequest, deployment: Deployment) -> dict[str, Json]:
    match request.auth:
        case KeyAuth(header, scheme) if deployment.secret is not None:
            return {header: f"{scheme}<{deployment.secret}>"}
        case SigV4Auth(service, region):
            return {"authorization": f"<AWS Signature Version 4 for {service} in {region}>"}
        case _:
            return {}


def _without_userinfo(url: str) -> str:
    """The URL without a name and password, which an operator may have put into it."""
    host = urlsplit(url).netloc
    return url.replace(host, host.rpartition("@")[2], 1)
