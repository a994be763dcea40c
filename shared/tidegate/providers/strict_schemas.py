"""JSON schemas that a provider cannot enforce: recursive ones, and too much in one request.

Sources, read in 2026-11: https://platform.claude.com/docs/en/build-with-claude/structured-outputs (the limits of one
request; recursive schemas are not supported), refusals recorded in https://github.com/0xPlaygrounds/rig
(tests/cassettes/anthropic/strict_schema_limits and …/strict_schema_matrix, 2026-08),
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (no recursive schemas).
"""

from collections.abc import Iterator

from msgspec import Struct

from tidegate.json import Json, JsonObject


class SchemaLimits(Struct, frozen=True):
    """The most that one request may have in its strict tools and its answer's schema together.

    `optional` counts properties that are not required, `unions` schemas with `anyOf` or a list of types.
    """

    tools: int = 20
    optional: int = 24
    unions: int = 16


CLAUDE_LIMITS = SchemaLimits()
NO_LIMITS = SchemaLimits(tools=1_000_000, optional=1_000_000, unions=1_000_000)


class SchemaBudget(Struct):
    """Counts what one request has of the limits."""

    limits: SchemaLimits = CLAUDE_LIMITS
    tools: int = 0
    optional: int = 0
    unions: int = 0

    def admit_tool(self, schema: JsonObject) -> bool:
        """Count a strict tool and return True if the provider accepts it besides those counted before."""
        if self.tools >= self.limits.tools or not self.admit_schema(schema):
            return False
        self.tools += 1
        return True

    def admit_schema(self, schema: JsonObject) -> bool:
        """Count a schema and return True if the provider accepts it besides those counted before."""
        optional, unions = self.optional, self.unions
        for each in _schemas(schema):
            unions += "anyOf" in each or isinstance(each.get("type"), list)
            match each:
                case {"properties": dict(properties), "required": list(required)}:
                    names = [name for name in required if isinstance(name, str)]
                    optional += len(properties.keys() - names)
                case {"properties": dict(properties)}:
                    optional += len(properties)
                case _:
                    pass
        if optional > self.limits.optional or unions > self.limits.unions or is_recursive(schema):
            return False
        self.optional, self.unions = optional, unions
        return True


def is_recursive(schema: JsonObject) -> bool:
    """True if a schema contains a `$ref` that leads back to it, directly or over others."""
    targets: dict[str, JsonObject] = {}
    for each in _schemas(schema):
        ref = each.get("$ref")
        if isinstance(ref, str) and ref not in targets and (target := _resolve(schema, ref)) is not None:
            targets[ref] = target
    if not targets:
        return False
    edges: dict[int, set[int]] = {0: set(), **{id(target): set() for target in targets.values()}}
    _collect_edges(schema, 0, targets, edges)
    return _has_cycle(edges)


def _schemas(value: Json) -> Iterator[JsonObject]:
    """Yield all objects in the value, in any order."""
    pending = [value]
    while pending:
        match pending.pop():
            case dict(schema):
                yield schema
                pending.extend(schema.values())
            case list(items):
                pending.extend(items)
            case _:
                pass


def _resolve(root: JsonObject, ref: str) -> JsonObject | None:
    found: Json = root
    for step in filter(None, ref.removeprefix("#").split("/")):
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found if ref.startswith("#") and isinstance(found, dict) else None


def _collect_edges(value: Json, parent: int, targets: dict[str, JsonObject], edges: dict[int, set[int]]) -> None:
    """Add to `edges` which targets of `$ref` contain which others, or refer to them. `parent` contains the value."""
    match value:
        case dict():
            if id(value) in edges:
                edges[parent].add(id(value))
                parent = id(value)
            ref = value.get("$ref")
            if isinstance(ref, str) and ref in targets:
                edges[parent].add(id(targets[ref]))
            for inner in value.values():
                _collect_edges(inner, parent, targets, edges)
        case list(items):
            for item in items:
                _collect_edges(item, parent, targets, edges)
        case _:
            pass


def _has_cycle(edges: dict[int, set[int]]) -> bool:
    """True if removing the nodes that nothing leads to, again and again, leaves some."""
    sources = dict.fromkeys(edges, 0)
    for node in [target for targets in edges.values() for target in targets]:
        sources[node] += 1
    free = [node for node, count in sources.items() if not count]
    removed = 0
    while free:
        removed += 1
        for target in edges[free.pop()]:
            sources[target] -= 1
            if not sources[target]:
                free.append(target)
    return removed < len(edges)
