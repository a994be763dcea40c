"""Run the AWS commands of docs/BATCH.md in a shell whose `aws` records its arguments.

Each command is checked against botocore's model of its service; then the function gets the event that AWS would make
of it.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator
from msgspec.structs import replace

from tests.aws.script import ScriptedTransport
from tests.batch.events import RecordedReplies
from tests.batch.world import PATH, batch_world, jsonl, requests
from tests.documents import ROOT, blocks
from tests.s3_objects import root_key
from tests.store_worlds import REGION
from tidegate.aws.batch_triggers import BatchFunction
from tidegate.batch.ports import Page
from tidegate.domain.workspace import Workspace
from tidegate.transport.aws_service import AwsService

PAGE = [block for block in blocks("docs/BATCH.md", "sh") if "aws " in block]
ACME = Workspace("ws_acme", "Acme")
BUCKET = "tidegate-batches"
WORK_QUEUE = f"https://sqs.{REGION}.amazonaws.com/123456789012/tidegate-work"
OWN_OPTIONS = ("query", "output", "cli-read-timeout", "cli-binary-format")
"""Options of the command line itself."""

AWS = """#!{python}
import json, os, sys
words = sys.argv[1:]
open(os.environ["RECORD"], "a").write(json.dumps(words) + "\\n")
if words[0] == "cloudformation":
    print(words[words.index("--query") + 1])
"""


def untyped(value: object) -> Any:
    """The value of a library without types."""
    return value


validator = untyped(ParamValidator())


@dataclass(frozen=True)
class AwsCommand:
    """A command of the page: the service and its operation, and the values of its options and other words."""

    service: str
    operation: str
    options: dict[str, str]
    others: list[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """The options as the service gets them. Raises `KeyError` for one that the operation does not have."""
        client = untyped(boto3).client(self.service, region_name=REGION)
        operation = client.meta.method_to_api_mapping[self.operation.replace("-", "_")]
        shape = client.meta.service_model.operation_model(operation).input_shape
        members = {re.sub("(?<!^)(?=[A-Z])", "-", name).lower(): name for name in shape.members}
        found: dict[str, Any] = {}
        for option, text in self.options.items():
            if option not in OWN_OPTIONS:
                kind = shape.members[members[option]].type_name
                found[members[option]] = _parse(kind, text)
        report = validator.validate(found, shape)
        assert not report.has_errors(), report.generate_report()
        return found


def _parse(kind: str, text: str) -> Any:
    if kind == "integer":
        return int(text)
    if kind in ("list", "map", "structure"):
        return json.loads(text) if text.startswith(("[", "{")) else [text]
    return text


@pytest.fixture
def commands(tmp_path: Path) -> list[AwsCommand]:
    """All commands of the page, in one shell."""
    program = tmp_path / "bin" / "aws"
    program.parent.mkdir()
    program.write_text(AWS.format(python=sys.executable))
    program.chmod(0o700)
    env = {"PATH": f"{program.parent}:{os.environ['PATH']}", "RECORD": str(tmp_path / "record")}
    done = subprocess.run(["sh", "-e", "-c", "\n".join(PAGE)], env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return [_take_apart(json.loads(line)) for line in (tmp_path / "record").read_text().splitlines()]


def _take_apart(words: list[str]) -> AwsCommand:
    options: dict[str, str] = {}
    others: list[str] = []
    rest = iter(words[2:])
    for word in rest:
        if word.startswith("--"):
            options[word[2:]] = next(rest)
        else:
            others.append(word)
    return AwsCommand(words[0], words[1], options, others)


def _key(url: str) -> str:
    """The name of an object, or the beginning of it, in a URL with any bucket."""
    return url[url.index("workspaces/") :]


def sqs_event(id: str, parameters: dict[str, Any]) -> Any:
    event = json.loads((ROOT / "tests/events/batch/sqs_request.json").read_text())
    attributes = {
        name: {"dataType": each["DataType"], "stringValue": each["StringValue"]}
        for name, each in parameters.get("MessageAttributes", {}).items()
    }
    (record,) = event["Records"]
    more = {"messageId": id, "body": parameters["MessageBody"], "messageAttributes": attributes}
    return {"Records": [{**record, **more}]}


def object_event(key: str, size: int) -> Any:
    event = json.loads((ROOT / "tests/events/batch/object_created.json").read_text())
    event["detail"]["object"] |= {"key": key, "size": size}
    return event


def test_every_command_has_the_parameters_of_its_service(commands: list[AwsCommand]) -> None:
    assert len(commands) == 14
    operations = {f"{each.service} {each.operation}" for each in commands if each.service != "s3" and each.parameters}
    assert operations == {
        "cloudformation describe-stacks",
        "cloudformation describe-stack-resource",
        "events put-events",
        "lambda invoke",
        "sqs get-queue-attributes",
        "sqs receive-message",
        "sqs send-message",
        "sqs start-message-move-task",
    }


def test_the_stack_has_what_the_commands_look_up(commands: list[AwsCommand]) -> None:
    template = (ROOT / "template.yaml").read_text()
    outputs = template[template.index("\nOutputs:") :]
    for each in commands:
        if each.operation == "describe-stacks":
            assert f"\n  {each.options['query'].split(chr(39))[1]}:\n" in outputs
        if each.operation == "describe-stack-resource":
            assert f"\n  {each.options['logical-resource-id']}:\n    Type: AWS::SQS::Queue\n" in template


async def test_the_function_does_what_the_page_says_of_each_event(commands: list[AwsCommand]) -> None:
    data, replies = jsonl(requests(3)), RecordedReplies()
    async with batch_world() as world:
        await world.memory.tenants.put_workspace(ACME)
        components = replace(world.components, replies=replies)
        service = AwsService(ScriptedTransport([(200, {})]), root_key, REGION, "sqs")
        function = BatchFunction(components, service, WORK_QUEUE, BUCKET)
        answers: list[Any] = []
        for number, each in enumerate(commands):
            match each.service, each.operation:
                case "s3", "cp":
                    key = _key(each.others[1])
                    await components.objects.put(key, data)
                    if "/in/" in key:
                        await function.handle(object_event(key, len(data)), 60.0)
                case "sqs", "send-message":
                    answers.append(await function.handle(sqs_event(f"m-{number}", each.parameters), 60.0))
                case "events", "put-events":
                    (entry,) = each.parameters["Entries"]
                    event = {"id": f"e-{number}", "detail-type": entry["DetailType"], "source": entry["Source"]}
                    await function.handle({**event, "detail": json.loads(entry["Detail"])}, 60.0)
                case "lambda", "invoke":
                    answers.append(await function.handle(json.loads(each.parameters["Payload"]), 60.0))
                case _:
                    pass
        await world.run_until_idle()
        *returned, invocation = answers
        assert returned == [{"batchItemFailures": []}] * 2
        assert invocation["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
        ((queue, answer, attributes),) = replies.sent
        assert (queue, answer["custom_id"], answer["response"]["status_code"]) == ("answers", "a", 200)
        shown = {name: attributes[name] for name in ("custom_id", "workspace_id", "status", "correlation_id")}
        assert shown == {"custom_id": "a", "workspace_id": "ws_acme", "status": "completed", "correlation_id": "job-7"}
        batches = await components.table.list_batches("ws_acme", Page(10))
        assert sorted((batch.source, batch.completion_window, batch.status) for batch in batches) == [
            ("message", "24h", "completed"),
            ("message", "3d", "completed"),
            ("object", "24h", "completed"),
        ]
        listed = [each.others[0] for each in commands if each.operation == "ls"]
        (folder,) = map(_key, listed)
        assert await components.objects.list_keys(folder) == [f"{folder}output.jsonl"]
        assert {batch.endpoint for batch in batches} == {PATH}
