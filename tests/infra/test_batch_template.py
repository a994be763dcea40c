"""What is deployed for batches: a bucket, two queues with dead-letter queues, rules, and a function with its role."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.policies import on_items, statements
from tests.infra.stack import Stack

Deploy = Callable[..., Stack]

OF_CALLS = ["WS#*", "ACCOUNT#*", "HEALTH"]
FIFTEEN_MINUTES = 900
KMS_KEY = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def get(name: str, attribute: str = "Arn") -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def objects(*names: str) -> Any:
    found = [{"Fn::Sub": f"${{BatchBucket.Arn}}/{name}/*"} for name in names]
    return found[0] if len(found) == 1 else found


def allow(action: Any, resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


WRITES_OBJECTS = [f"s3:{action}" for action in ("AbortMultipartUpload", "DeleteObject", "GetObject", "PutObject")]
POLLS = [f"sqs:{action}" for action in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")]
QUEUES = [get("WorkQueue"), get("IntakeQueue")]


def test_the_function_is_started_by_both_queues_and_a_schedule(stack: Stack) -> None:
    mappings = stack.of_type("AWS::Lambda::EventSourceMapping")
    assert mappings == {
        f"BatchFunction{name}": {
            "FunctionName": {"Ref": "BatchFunction"},
            "EventSourceArn": get(queue),
            "BatchSize": size,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": "10"},
        }
        for name, queue, size in (("Work", "WorkQueue", 1), ("Intake", "IntakeQueue", 10))
    }
    rule = stack.properties("BatchFunctionSchedule")
    assert (rule["ScheduleExpression"], rule["Targets"][0]["Arn"]) == ("rate(5 minutes)", get("BatchFunction"))


def test_the_function_is_as_large_and_as_slow_as_a_part_needs(stack: Stack) -> None:
    function = stack.properties("BatchFunction")
    names = ("Runtime", "Architectures", "Handler", "MemorySize", "Timeout", "LoggingConfig")
    assert {name: function[name] for name in names} == {
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "Handler": "functions.batch.app.handler",
        "MemorySize": "512",
        "Timeout": FIFTEEN_MINUTES,
        "LoggingConfig": {"LogGroup": {"Ref": "BatchLogs"}, "LogFormat": "JSON"},
    }


def test_the_function_has_the_data_planes_settings_of_calls(deploy: Deploy) -> None:
    given = {"ReplyQueueArns": "arn:aws:sqs:eu-central-1:123456789012:answers", "BatchOptions": "{}"}
    oidc = {"OidcIssuer": "https://issuer.example", "OidcAudience": "a", "OidcWorkspacesClaim": "w"}
    calls = {"Routes": "[]", "Guardrails": "[]", "Timeouts": "{}", "ExtraProviders": "[]", "DefaultProvider": "openai"}
    stack = deploy(**given, **oidc, **calls)
    chat, batch = (stack.properties(f"{name}Function")["Environment"]["Variables"] for name in ("Chat", "Batch"))
    of_http = {"AWS_LAMBDA_EXEC_WRAPPER", "TIDEGATE_CORS_ORIGINS", "TIDEGATE_RESPONSE_STATE"}
    assert {name: value for name, value in chat.items() if name not in of_http} == {
        name: value for name, value in batch.items() if name != "TIDEGATE_REPLY_QUEUE"
    }
    assert batch["TIDEGATE_REPLY_QUEUE"] == given["ReplyQueueArns"]
    assert statements(stack, "BatchRole")["ReplyQueues"] == allow("sqs:SendMessage", [given["ReplyQueueArns"]])


@pytest.mark.parametrize("name", ["Work", "Intake"])
def test_a_message_is_kept_for_two_weeks_and_given_up_after_twenty_deliveries(stack: Stack, name: str) -> None:
    queue, letters = stack.properties(f"{name}Queue"), stack.properties(f"{name}DeadLetters")
    assert queue == {
        "VisibilityTimeout": 6 * FIFTEEN_MINUTES,
        "MessageRetentionPeriod": 14 * 86_400,
        "RedrivePolicy": {"deadLetterTargetArn": get(f"{name}DeadLetters"), "maxReceiveCount": 20},
        "SqsManagedSseEnabled": True,
    }
    assert letters == {"MessageRetentionPeriod": 14 * 86_400, "SqsManagedSseEnabled": True}


def test_queues_and_bucket_take_a_key_of_ones_own(deploy: Deploy) -> None:
    stack = deploy(KmsKeyArn=KMS_KEY)
    for queue in stack.of_type("AWS::SQS::Queue").values():
        assert (queue["KmsMasterKeyId"], "SqsManagedSseEnabled" in queue) == (KMS_KEY, False)
    (rule,) = stack.properties("BatchBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KMS_KEY}
    assert stack.properties("BatchLogs")["KmsKeyId"] == KMS_KEY


def test_nobody_uses_bucket_or_queues_without_tls(stack: Stack) -> None:
    policies = stack.of_type("AWS::SQS::QueuePolicy")
    covered = [queue["Ref"] for policy in policies.values() for queue in policy["Queues"]]
    assert sorted(covered) == sorted(stack.of_type("AWS::SQS::Queue"))
    documents = [policy["PolicyDocument"] for policy in (*policies.values(), stack.properties("BatchBucketPolicy"))]
    for document in documents:
        denied = document["Statement"][0]
        assert (denied["Effect"], denied["Principal"]) == ("Deny", "*")
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_the_stacks_rules_may_send_to_the_intake_queue_without_a_role(stack: Stack) -> None:
    allowed = [
        statement
        for policy in stack.of_type("AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert allowed == [
        {
            "Sid": "Rules",
            **allow("sqs:SendMessage", get("IntakeQueue")),
            "Principal": {"Service": "events.amazonaws.com"},
            "Condition": {"ArnEquals": {"aws:SourceArn": [get("DroppedObjectsRule"), get("RequestsRule")]}},
        }
    ]


def test_dropped_objects_and_requests_reach_the_intake_queue(deploy: Deploy) -> None:
    stack = deploy(EventBusName="tides")
    dropped, requests = stack.properties("DroppedObjectsRule"), stack.properties("RequestsRule")
    assert dropped["EventPattern"] == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {
            "bucket": {"name": [{"Ref": "BatchBucket"}]},
            "object": {"key": [{"wildcard": "workspaces/*/in/*"}]},
        },
    }
    assert "EventBusName" not in dropped  # S3 knows the default bus only
    assert (requests["EventPattern"], requests["EventBusName"]) == ({"detail-type": ["BatchRequested"]}, "tides")
    assert dropped["Targets"] == requests["Targets"] == [{"Id": "intake", "Arn": get("IntakeQueue")}]


def test_the_bucket_is_closed_encrypted_and_forgets_what_nobody_ended(stack: Stack) -> None:
    resource = stack.resources["BatchBucket"]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    replies = stack.properties("ReplyBucket")
    same = ("BucketEncryption", "OwnershipControls", "PublicAccessBlockConfiguration")
    assert resource["Properties"] == {
        **{name: replies[name] for name in same},
        "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
        "LifecycleConfiguration": {
            "Rules": [
                {"Id": "uploads", "Prefix": "uploads/", "Status": "Enabled", "ExpirationInDays": 2},
                {"Id": "batches", "Prefix": "batches/", "Status": "Enabled", "ExpirationInDays": 40},
                {
                    "Id": "unfinished",
                    "Prefix": "",
                    "Status": "Enabled",
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
                },
            ]
        },
    }


def test_the_batch_function_may_do_no_more_than_it_does(stack: Stack) -> None:
    calls = statements(stack)
    mine = statements(stack, "BatchRole")
    shared = ("ProviderSecret", "WorkspaceSecrets", "Events", "Replies", "WriteTraces")
    assert {sid: mine.pop(sid) for sid in shared} == {sid: calls[sid] for sid in shared}
    batches = ("FILES#*", "BATCHES#*", "BATCH#*", "OPENBATCHES", "CLAIM#*")
    assert mine == {
        "ReadItems": on_items("BatchGetItem", "WORKSPACE#*", "WS#*", "ACCOUNT#*", *batches, "TRACES#*"),
        "Query": on_items("Query", "WS#*", "OPENBATCHES"),
        "WriteItems": on_items(["dynamodb:PutItem", "dynamodb:UpdateItem"], *OF_CALLS),
        "WriteBatches": on_items("PutItem", *batches),
        "CloseBatches": on_items("DeleteItem", "OPENBATCHES"),
        "LargeTraces": allow("s3:PutObject", {"Fn::Sub": "${ReplyBucket.Arn}/traces/*"}),
        "BatchObjects": allow(WRITES_OBJECTS, objects("batches", "files", "workspaces")),
        "ListObjects": allow("s3:ListBucket", get("BatchBucket")),
        "Poll": allow(POLLS, QUEUES),
        "ReturnMessages": allow("sqs:ChangeMessageVisibility", QUEUES),
        "Steps": allow("sqs:SendMessage", get("WorkQueue")),
        "Logs": allow(["logs:CreateLogStream", "logs:PutLogEvents"], get("BatchLogs")),
    }
    assert "ManagedPolicyArns" not in stack.properties("BatchRole")


def test_bedrocks_jobs_need_their_own_role_and_the_named_models(deploy: Deploy) -> None:
    role = "arn:aws:iam::123456789012:role/jobs"
    model = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0"
    without = statements(deploy(BedrockModelArns=model), "BatchRole")
    added = {
        sid: statement
        for sid, statement in statements(deploy(BedrockModelArns=model, BedrockBatchRoleArn=role), "BatchRole").items()
        if sid not in without
    }
    jobs = "arn:${AWS::Partition}:bedrock:*:${AWS::AccountId}:model-invocation-job/*"
    actions = [f"bedrock:{action}ModelInvocationJob" for action in ("Create", "Get", "Stop")]
    assert added == {
        "BedrockJobsModels": allow(actions[0], [model]),
        "BedrockJobs": allow(actions, {"Fn::Sub": jobs}),
        "ListBedrockJobs": allow("bedrock:ListModelInvocationJobs", "*"),
        "BedrockJobsRole": {
            **allow("iam:PassRole", role),
            "Condition": {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}},
        },
    }
    assert set(added) & set(statements(deploy(BedrockBatchRoleArn=role), "BatchRole")) == set()


def test_the_data_plane_may_manage_files_and_batches(stack: Stack, deploy: Deploy) -> None:
    without = statements(deploy(Batches="disabled"))
    added = {sid: statement for sid, statement in statements(stack).items() if sid not in without}
    assert added == {
        "ReadBatches": on_items("BatchGetItem", "FILES#*", "BATCHES#*", "BATCH#*"),
        "QueryBatches": on_items("Query", "FILES#*", "BATCHES#*", "OPENBATCHES"),
        "WriteBatches": on_items("PutItem", "FILES#*", "BATCHES#*", "BATCH#*", "OPENBATCHES", "CLAIM#*"),
        "DeleteFiles": on_items("DeleteItem", "FILES#*"),
        "BatchObjects": allow(WRITES_OBJECTS, objects("files", "uploads")),
        "DroppedObjects": allow(["s3:DeleteObject", "s3:GetObject"], objects("workspaces")),
        "ReadRanges": allow("s3:GetObject", objects("batches")),
        "ListObjects": allow("s3:ListBucket", get("BatchBucket")),
        "Steps": allow("sqs:SendMessage", get("WorkQueue")),
    }


def test_batches_can_be_left_out(deploy: Deploy) -> None:
    stack, whole = deploy(Batches="disabled"), deploy()
    named = [name for name in whole.resources if "Batch" in name or "Intake" in name or "Work" in name]
    assert [name for name in named if name in stack.resources] == []
    assert stack.of_type("AWS::SQS::Queue") == stack.of_type("AWS::Lambda::EventSourceMapping") == {}
    assert [name for name in stack.properties("ChatFunction")["Environment"]["Variables"] if "BATCH" in name] == []
    assert [name for name in stack.outputs if "Batch" in name] == []


def test_an_old_message_is_an_alarm_after_half_an_hour_and_a_dead_one_at_once(stack: Stack) -> None:
    for name, queue in (("BatchDelayAlarm", "WorkQueue"), ("IntakeDelayAlarm", "IntakeQueue")):
        alarm = stack.properties(name)
        assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": get(queue, "QueueName")}]
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == ("1800", "GreaterThanThreshold")
    expression, *queues = stack.properties("BatchDeadLettersAlarm")["Metrics"]
    assert expression["Expression"] == "FILL(steps, 0) + FILL(requests, 0)"
    dimensions = [each["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for each in queues]
    assert dimensions == [get("WorkDeadLetters", "QueueName"), get("IntakeDeadLetters", "QueueName")]
