"""The parts of a dry run's report as JSON: each deployment's turn, and the request that would be sent."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct, field

from tidegate.domain.deployment import Deployment
from tidegate.domain.record import iso_time
from tidegate.domain.routes import Route
from tidegate.domain.usage import TokenCounts
from tidegate.errors import TidegateError
from tidegate.json import Json, JsonObject, decode
from tidegate.policy.routing.fallback import Candidate
from tidegate.providers.base import KeyAuth, SigV4Auth, UpstreamRequest


class Step(Struct):
    """One deployment's turn: how far the call would get there, and the `error` that would end it.

    For a deployment of a `route`, `cools_until` (UTC seconds) is the end of its cooldown.
    """

    candidate: Candidate
    when: str
    deployment: Deployment | None = None
    route: Route | None = None
    cools_until: float | None = None
    error: TidegateError | None = None
    worst_case: TokenCounts | None = None
    fields: JsonObject = field(default_factory=dict[str, Json])


def step_json(step: Step) -> JsonObject:
    """Return the turn as JSON; every turn has all fields."""
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
        **{"request": None, "mapped": {}, "unexamined": [], "ignored": [], "refused": {}},
        **{"max_output_tokens": None, "largest_cost_usd": None, "omitted": False},
        **step.fields,
    }


def _route_json(route: Route) -> JsonObject:
    """Return the settings of the route that concern every turn."""
    names = ("name", "by", "timeout_seconds", "hedge_after_seconds")
    return {name: getattr(route, name) for name in names}


def error_json(error: TidegateError | None) -> JsonObject | None:
    """Return the error as its reply would have it, with its status."""
    if error is None:
        return None
    body: JsonObject = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return {"status": error.status, **body}


def request_json(
    request: UpstreamRequest, deployment: Deployment, stand_ins: Mapping[bytes, bytes], *, shows_url: bool
) -> JsonObject:
    """Return the request, with names in place of its credentials and labels in place of its `stand_ins`.

    Without `shows_url`, "***" stands for the base URL: it may be an internal address, or name an account.
    """
    body = request.body
    for stand_in, label in stand_ins.items():
        body = body.replace(stand_in, label)
    headers: dict[str, Json] = {**request.headers, **_credentials(request, deployment)}
    url = _without_userinfo(request.url) if shows_url else _masked(request.url, deployment.base_url)
    return {"method": "POST", "url": url, "headers": headers, "body": decode(body)}


def _credentials(request: UpstreamRequest, deployment: Deployment) -> dict[str, Json]:
    match request.auth:
        case KeyAuth(header, scheme) if deployment.secret is not None:
            return {header: f"{scheme}<{deployment.secret}>"}
        case SigV4Auth(service, region):
            return {"authorization": f"<AWS Signature Version 4 for {service} in {region}>"}
        case _:
            return {}


def _masked(url: str, base_url: str) -> str:
    """Replace the base URL; replace all of the URL if it does not begin with it, such as one with a query."""
    base_url = base_url.rstrip("/")
    return "***" + (url.removeprefix(base_url) if base_url and url.startswith(base_url) else "")


def _without_userinfo(url: str) -> str:
    """Remove the user name and password that an operator may have put into the URL."""
    host = urlsplit(url).netloc
    return url.replace(host, host.rpartition("@")[2], 1)
