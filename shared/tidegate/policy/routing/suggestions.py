"""Names that a caller may have meant. Loaded with the first unknown model of a process."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tidegate.catalog.names import canonical_model_id, most_similar
from tidegate.domain.deployment import Deployment
from tidegate.domain.limits import Limits

_NOTHING_SIMILAR = "Models are named provider/model: GET /v1/models lists them."


def suggest_models(
    model_id: str, routes: Mapping[str, Iterable[Deployment]], model_ids: Iterable[str], limits: Sequence[Limits]
) -> str:
    """Return a sentence with the names most similar to `model_id` among those that all `limits` allow.

    `routes` have the deployments of each route that are configured, `model_ids` are models of configured providers.
    Takes up to 10 ms.
    """
    usable = {name.lower(): name for name in _allowed_names(routes, model_ids, limits)}
    near = [usable[found] for found in most_similar(canonical_model_id(model_id), usable, 3)]
    return f"Did you mean {', '.join(near)}?" if near else _NOTHING_SIMILAR


def _allowed_names(
    routes: Mapping[str, Iterable[Deployment]], model_ids: Iterable[str], limits: Sequence[Limits]
) -> Iterator[str]:
    for name, deployments in routes.items():
        if any(all(each.allow_model(target.model_id, name) for each in limits) for target in deployments):
            yield name
    for model_id in model_ids:
        if all(each.allow_model(model_id) for each in limits):
            yield model_id
