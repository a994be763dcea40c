"""The template as CloudFormation would deploy it: transformed by SAM, its parameters and conditions decided."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Stack:
    resources: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]

    def properties(self, logical_id: str) -> dict[str, Any]:
        return self.resources[logical_id].get("Properties", {})

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of a type, by their logical ids."""
        return {name: self.properties(name) for name, resource in self.resources.items() if resource["Type"] == kind}


def deployed(**parameters: str) -> Stack:
    """The stack with these parameters, and the defaults of the others."""
    assignments = [f"{name}={value}" for name, value in parameters.items()]
    command = [str(SAM_PYTHON), str(Path(__file__).with_name("transform.py")), str(TEMPLATE), *assignments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return decide(json.loads(done.stdout), parameters)


def decide(template: dict[str, Any], parameters: Mapping[str, str]) -> Stack:
    """The stack of a template with these parameters, and the defaults of the others."""
    return _Decided(template, parameters).stack()


def broken_rules(template: dict[str, Any], parameters: Mapping[str, str]) -> list[str]:
    """What CloudFormation says against these parameters before it deploys anything."""
    return _Decided(template, parameters).refused_by()


class _Decided:
    """`Ref` to parameters, `Fn::If` and conditions, decided; references to resources stay as they are."""

    def __init__(self, template: dict[str, Any], parameters: Mapping[str, str]) -> None:
        self._template = template
        self._values = {name: self._default(spec) for name, spec in template["Parameters"].items()}
        self._values |= {
            name: text.split(",") if isinstance(self._values[name], list) else text for name, text in parameters.items()
        }

    def stack(self) -> Stack:
        return Stack(self._kept("Resources"), self._kept("Outputs"))

    def _kept(self, section: str) -> dict[str, dict[str, Any]]:
        return {
            name: self._value(item)
            for name, item in self._template[section].items()
            if "Condition" not in item or self._holds(item["Condition"])
        }

    @staticmethod
    def _default(spec: dict[str, Any]) -> Any:
        default = str(spec.get("Default", ""))
        return default.split(",") if spec["Type"] == "CommaDelimitedList" else default

    def refused_by(self) -> list[str]:
        """The assertions of the rules that these parameters break."""
        return [
            assertion["AssertDescription"]
            for rule in self._template["Rules"].values()
            if self._value(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._value(assertion["Assert"])
        ]

    def _holds(self, condition: str) -> bool:
        return self._value(self._template["Conditions"][condition])

    def _value(self, node: Any) -> Any:
        match node:
            case {"Ref": "AWS::NoValue"}:
                return _ABSENT
            case {"Ref": str(name)} if name in self._values:
                return self._values[name]
            case {"Fn::If": [condition, yes, no]}:
                return self._value(yes if self._holds(condition) else no)
            case {"Fn::Equals": [left, right]}:
                return str(self._value(left)) == str(self._value(right))
            case {"Fn::Not": [inner]}:
                return not self._value(inner)
            case {"Fn::And": list(inner)}:
                return all(map(self._value, inner))
            case {"Condition": str(name)} if len(node) == 1:
                return self._holds(name)
            case {"Fn::Select": [index, parts]}:
                return self._value(parts)[int(index)]
            case {"Fn::Split": [separator, text]}:
                return str(self._value(text)).split(separator)
            case {"Fn::Join": [separator, list() | dict() as parts]} if isinstance(self._value(parts), list):
                return str(separator).join(map(str, self._value(parts)))
            case dict():
                found = {key: self._value(value) for key, value in node.items()}
                return {key: value for key, value in found.items() if value is not _ABSENT}
            case list():
                return [value for value in map(self._value, node) if value is not _ABSENT]
            case _:
                return node
