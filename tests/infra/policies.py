"""The statements of the roles' policies in the deployed template."""

from typing import Any

from tests.infra.stack import Stack


def statements(stack: Stack, role: str = "ChatRole") -> dict[str, dict[str, Any]]:
    """What a function's role allows, by statement id."""
    (policy,) = stack.properties(role)["Policies"]
    return {
        statement["Sid"]: {name: value for name, value in statement.items() if name != "Sid"}
        for statement in policy["PolicyDocument"]["Statement"]
    }


def on_items(action: str | list[str], *partitions: str) -> dict[str, Any]:
    """The statement that allows an action on the items of some partitions."""
    return {
        "Effect": "Allow",
        "Action": action if isinstance(action, list) else f"dynamodb:{action}",
        "Resource": {"Fn::GetAtt": ["Table", "Arn"]},
        "Condition": {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [*partitions]},
            "Null": {"dynamodb:LeadingKeys": "false"},
        },
    }
