"""The roles of the template's functions, evaluated as IAM does: a small policy simulator for what their policies use.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html and
…/reference_policies_condition-single-vs-multi-valued-context-keys.html (read on 2026-11-29).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from tests.infra.stack import TEMPLATE, decide

CHAT_ROLE, ADMIN_ROLE, KEEPER_ROLE, BATCH_ROLE = "ChatRole", "AdminRole", "KeeperRole", "BatchRole"

ACCOUNT = "eu-central-1:123456789012"
STACK: dict[str, str] = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "tidegate",
    # Tests give each table, bucket and secret a name of its own.
    "Table.Arn": f"arn:aws:dynamodb:{ACCOUNT}:table/tidegate-*",
    "ReplyBucket.Arn": "arn:aws:s3:::replies-*",
    "BatchBucket.Arn": "arn:aws:s3:::batches-*",
    "WorkQueue.Arn": f"arn:aws:sqs:{ACCOUNT}:work-*",
    "IntakeQueue.Arn": f"arn:aws:sqs:{ACCOUNT}:intake-*",
    "ProviderSecret": f"arn:aws:secretsmanager:{ACCOUNT}:secret:providers-*",
    **{f"{name}Logs.Arn": f"arn:aws:logs:{ACCOUNT}:log-group:{name}" for name in ("Chat", "Admin", "Keeper", "Batch")},
}


@dataclass(frozen=True)
class Access:
    """What one request asks IAM for. `context` has its condition keys, each with all of its values."""

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True)
class Role:
    """A role with its statements, whose references are resolved."""

    name: str
    statements: tuple[Mapping[str, Any], ...]

    def allows(self, access: Access) -> bool:
        """True if a statement allows the access, and none denies it."""
        effects = {statement["Effect"] for statement in self.statements if _applies(statement, access)}
        return effects == {"Allow"}


@cache
def role(name: str, **parameters: str) -> Role:
    """The role of that name in the stack with these parameters."""
    resources = decide(read_template(), parameters).resources
    (policy,) = resources[name]["Properties"]["Policies"]
    references = {**STACK, "EventBusName": "default", **parameters}
    return Role(name, tuple(_resolve(policy["PolicyDocument"]["Statement"], references)))


def unused_permissions(role: Role, accesses: Sequence[Access]) -> list[str]:
    """What a role allows, and no access needed: an action, a resource or a value of a condition of one statement.

    Lambda itself writes logs and polls queues, so that no request of ours is seen there.
    """
    unused: list[str] = []
    for statement in role.statements:
        if statement["Sid"] in ("Logs", "Poll"):
            continue
        seen = [access for access in accesses if _applies(statement, access)]
        wanted = {
            "Action": [access.action for access in seen],
            "Resource": [access.resource for access in seen],
        }
        found = [(name, pattern, values) for name, values in wanted.items() for pattern in _as_list(statement[name])]
        for key, patterns in statement.get("Condition", {}).get("ForAllValues:StringLike", {}).items():
            values = [value for access in seen for value in access.context[key]]
            found += [(key, pattern, values) for pattern in patterns]
        unused += [
            f"{statement['Sid']}: {name} {pattern}"
            for name, pattern, values in found
            if not any(_matches(pattern, value) for value in values)
        ]
    return unused


def _applies(statement: Mapping[str, Any], access: Access) -> bool:
    return (
        any(_matches(pattern, access.action) for pattern in _as_list(statement["Action"]))
        and any(_matches(pattern, access.resource) for pattern in _as_list(statement["Resource"]))
        and all(
            _holds(operator, _as_list(values), access.context.get(key))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _holds(operator: str, patterns: list[str], values: tuple[str, ...] | None) -> bool:
    """True if the condition holds for the values of its key; None is a key that the request does not have."""
    match operator:
        case "Null":  # also of a key without any value
            return [str(not values).lower()] == patterns
        case "ForAllValues:StringLike":  # also of no value at all
            return all(any(_matches(pattern, value) for pattern in patterns) for value in values or ())
        case "StringLike":
            return values is not None and len(values) == 1 and any(_matches(pattern, values[0]) for pattern in patterns)
        case "StringEquals":
            return values is not None and len(values) == 1 and values[0] in patterns
        case _:
            raise NotImplementedError(f"This simulator does not know the operator {operator}.")


def _matches(pattern: str, text: str) -> bool:
    parts = ({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


def _resolve(node: Any, references: Mapping[str, str]) -> Any:
    match node:
        case {"Ref": str(name)}:
            return references[name]
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return references[f"{name}.{attribute}"]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([\w:.]+)\}", lambda found: references[found[1]], text)
        case dict():
            return {key: _resolve(value, references) for key, value in node.items()}
        case list():
            return [_resolve(value, references) for value in node]
        case _:
            return node


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms, such as `!Ref`."""


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt":
        return {"Fn::GetAtt": str(value).split(".")}
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)


@cache
def read_template() -> dict[str, Any]:
    """The template as it is written, with the long forms of its functions."""
    return yaml.load(TEMPLATE.read_text(), _Loader)
