"""Azure OpenAI's chat completions: OpenAI's dialect at the operator's own resource, under the operator's model names.

Sources, read in 2026-11: https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference (deployments, `api-key`),
…/openai/api-version-lifecycle (versions; the `/openai/v1/` API, which needs none), …/openai/concepts/content-filter and
…/openai/concepts/content-streaming (what filters add to replies), https://learn.microsoft.com/en-us/rest/api/aifoundry/
(`/models`), and replies recorded from all three up to 2026-07.
"""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from tidegate.domain.deployment import Deployment
from tidegate.providers.base import KeyAuth
from tidegate.providers.compatible_row import Row
from tidegate.providers.openai.capabilities import OPENAI_MODELS
from tidegate.providers.openai.provider import OpenAI
from tidegate.providers.openai.quirks import OPEN_SAMPLING, NativeResponses, Quirks

DEFAULT_VERSION = "2024-10-21"
"""The last dated version that is generally available; newer features are only in `/openai/v1/`."""

MODELS_VERSION = "2024-05-01-preview"
"""The only version of the `/models` API."""

# Dated versions before 2024-12-01 refuse the role "developer"; on reasoning models, all read "system" as "developer".
# Only `/openai/v1/` has the Responses API. Its web search is Bing's, outside of Azure's boundary and contract
# (https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/web-search, read in 2026-11), so it is left out.
_QUIRKS = Quirks(
    unsupported=OPEN_SAMPLING | {"safety_identifier"},
    functions=True,
    max_tool_id=40,
    tool_names=True,
    files="data",
    responses=frozenset({"models", "tools"}),
    native_responses=NativeResponses(
        tools=frozenset({"function", "custom", "namespace", "apply_patch", "shell", "local_shell"})
        | {"code_interpreter", "image_generation", "mcp", "computer_use_preview", "file_search"},
        encrypts=True,
    ),
    models=OPENAI_MODELS,
)


class Azure(OpenAI, frozen=True):
    """The provider for Azure OpenAI. Rules for models match the deployment's name, so it should contain the model's."""

    def url(self, deployment: Deployment, path: str = "/chat/completions") -> str:
        return api_url(deployment, path)

    def has_responses(self, deployment: Deployment) -> bool:
        return urlsplit(deployment.base_url).path.rstrip("/").endswith("/v1")


def api_url(deployment: Deployment, api_path: str) -> str:
    """Return the URL of one of the deployment's APIs.

    The base URL ends with the path of one of Azure's three APIs: `/openai` or no path (one deployment per model),
    `/openai/v1` or `/models` (the model is in the body). A base URL that names a deployment is used for every model.
    An `api-version` in its query wins over the configured one.
    """
    base_url = urlsplit(deployment.base_url)
    path, default_version = _path(base_url.path.rstrip("/"), deployment.model)
    query = dict(parse_qsl(base_url.query))
    version = query.pop("api-version", None) or deployment.api_version or default_version
    if version is not None:
        query["api-version"] = version
    return urlunsplit((base_url.scheme, base_url.netloc, path + api_path, urlencode(query), ""))


def _path(base: str, model: str) -> tuple[str, str | None]:
    """Return the path before that of the API, and the API version to use if none is configured."""
    if base.endswith("/v1"):
        return base, None
    if base.endswith("/models"):
        return base, MODELS_VERSION
    if "/deployments/" in base:
        return base, DEFAULT_VERSION
    root = base if base.endswith("/openai") else f"{base}/openai"
    return f"{root}/deployments/{quote(model, safe='')}", DEFAULT_VERSION


PROVIDER = Azure(Row("azure", None, _QUIRKS, auth=KeyAuth("api-key", "")))
