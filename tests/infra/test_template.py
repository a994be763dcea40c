"""What is deployed: the template after SAM's transformation, not as it is written."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.policies import on_items, statements
from tests.infra.stack import Stack
from tidegate.aws.aggregates import RECORD_ATTRIBUTES
from tidegate.aws.aggregates import RUN_SECONDS as ROLLUP_SECONDS
from tidegate.aws.sweeper import RUN_SECONDS
from tidegate.aws.traces import OBJECT_DAYS
from tidegate.control.validation import MAX_TRACE_DAYS
from tidegate.domain.gateway_fields import MAX_CACHE_TTL_SECONDS
from tidegate.domain.response_state import STATE_DAYS
from tidegate.policy.metering.roller import HOUR_SECONDS
from tidegate.sqlite.objects import LIFETIME_DAYS

Deploy = Callable[..., Stack]

METRICS = {"TIDEGATE_METRICS": "emf", "TIDEGATE_METRICS_NAMESPACE": {"Fn::Sub": "tidegate/${AWS::StackName}"}}
ALIAS = "ChatFunctionAliaslive"
STREAMING_URI = (
    "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2021-11-15/functions/${" + ALIAS + "}"
    "/response-streaming-invocations"
)

TELLS = {
    "Effect": "Allow",
    "Action": "events:PutEvents",
    "Resource": {"Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/${EventBusName}"},
}

REPLIES = [{"Fn::Sub": "${ReplyBucket.Arn}/cache/*"}, {"Fn::Sub": "${ReplyBucket.Arn}/idem/*"}]
TRACES = {"Fn::Sub": "${ReplyBucket.Arn}/traces/*"}
RESPONSES = {"Fn::Sub": "${ReplyBucket.Arn}/responses/*"}
KEPT = ("TRACES#*", "RESPONSES#*")

CALLS = ["WS#*", "ACCOUNT#*"]
BATCHES = ("FILES#*", "BATCHES#*", "BATCH#*", "OPENBATCHES")
RESOURCES = ["KEY#*", "OIDC#*", "WORKSPACE#*", "WORKSPACES", "PLANS", "ADMINS"]

WORKSPACE_SECRETS = {
    "Fn::Sub": "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}"
    ":secret:${AWS::StackName}/workspaces/*"
}


def integrations(stack: Stack) -> dict[str, dict[str, Any]]:
    paths = stack.properties("Api")["Body"]["paths"]
    return {
        f"{method} {path}": operation["x-amazon-apigateway-integration"]
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


PUT_AND_UPDATE = ["dynamodb:PutItem", "dynamodb:UpdateItem"]


def environment(stack: Stack) -> dict[str, Any]:
    return stack.properties("ChatFunction")["Environment"]["Variables"]


def test_every_other_route_streams_through_the_alias_for_up_to_fifteen_minutes(stack: Stack) -> None:
    streaming = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "uri": {"Fn::Sub": STREAMING_URI},
        "responseTransferMode": "STREAM",
        "timeoutInMillis": 900000,
    }
    method = "x-amazon-apigateway-any-method"
    found = integrations(stack)
    for path in ("/admin/{proxy+}", "/console", "/console/{proxy+}"):
        del found[f"{method} {path}"]
    assert found == {f"{method} /": streaming, f"{method} /{{proxy+}}": streaming}


def test_the_control_planes_paths_go_to_a_function_that_answers_at_once(stack: Stack) -> None:
    found = integrations(stack)["x-amazon-apigateway-any-method /admin/{proxy+}"]
    for path in ("/console", "/console/{proxy+}"):
        assert integrations(stack)[f"x-amazon-apigateway-any-method {path}"] == found
    assert (found["type"], found.get("responseTransferMode", "BUFFERED")) == ("aws_proxy", "BUFFERED")
    assert found["uri"]["Fn::Sub"].endswith("/functions/${AdminFunction.Arn}/invocations")
    function = stack.properties("AdminFunction")
    seen = {name: function[name] for name in ("Runtime", "Architectures", "Handler", "Timeout", "LoggingConfig")}
    assert seen == {
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "Handler": "functions.admin.app.handler",
        "Timeout": 30,
        "LoggingConfig": {"LogGroup": {"Ref": "AdminLogs"}, "LogFormat": "JSON"},
    }
    assert function["Environment"]["Variables"] == {
        "TIDEGATE_TABLE": {"Ref": "Table"},
        "TIDEGATE_WORKSPACE_SECRETS": {"Fn::Sub": "${AWS::StackName}/workspaces"},
        "TIDEGATE_REPLY_BUCKET": {"Ref": "ReplyBucket"},
        "TIDEGATE_LOG_LEVEL": "INFO",
        "TIDEGATE_TRANSPORT": "httptools",
        **METRICS,
    }


def test_the_api_is_regional_and_leaves_all_bodies_but_forms_as_they_are(stack: Stack) -> None:
    api = stack.properties("Api")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert api["BinaryMediaTypes"] == ["multipart~1form-data"]
    assert api["Body"]["x-amazon-apigateway-binary-media-types"] == ["multipart/form-data"]
    assert "MinimumCompressionSize" not in api


def test_api_gateway_may_invoke_the_alias_and_the_control_plane_and_schedules_the_other_functions(stack: Stack) -> None:
    permissions = stack.of_type("AWS::Lambda::Permission").values()
    assert {(permission["Principal"], permission["FunctionName"]["Ref"]) for permission in permissions} == {
        ("apigateway.amazonaws.com", ALIAS),
        ("apigateway.amazonaws.com", "AdminFunction"),
        ("events.amazonaws.com", "BatchFunction"),
        ("events.amazonaws.com", "KeeperFunction"),
    }


@pytest.mark.parametrize(
    ("response", "status", "type", "code"),
    [
        ("ACCESS_DENIED", 403, "permission_error", "access_denied"),
        ("WAF_FILTERED", 403, "permission_error", "access_denied"),
        ("MISSING_AUTHENTICATION_TOKEN", 404, "invalid_request_error", "not_found"),
        ("REQUEST_TOO_LARGE", 413, "invalid_request_error", "request_too_large"),
        ("THROTTLED", 429, "rate_limit_error", "rate_limit_exceeded"),
        ("QUOTA_EXCEEDED", 429, "insufficient_quota", "insufficient_quota"),
        ("INTEGRATION_FAILURE", 502, "server_error", "internal_error"),
        ("INTEGRATION_TIMEOUT", 504, "timeout_error", "gateway_timeout"),
        ("DEFAULT_4XX", None, "invalid_request_error", "invalid_request"),
        ("DEFAULT_5XX", None, "server_error", "internal_error"),
    ],
)
def test_api_gateway_answers_in_our_envelope(
    stack: Stack, response: str, status: int | None, type: str, code: str
) -> None:
    answer = stack.properties("Api")["Body"]["x-amazon-apigateway-gateway-responses"][response]
    text = answer["responseTemplates"]["application/json"].replace("$context.error.messageString", '"Bad request"')
    error = json.loads(text)["error"]
    assert answer.get("statusCode") == (str(status) if status else None)
    assert error == {"message": error["message"], "type": type, "param": None, "code": code}
    assert error["message"]
    assert answer["responseParameters"]["gatewayresponse.header.x-request-id"] == "context.requestId"


def test_a_throttled_caller_learns_when_to_come_back(stack: Stack) -> None:
    answer = stack.properties("Api")["Body"]["x-amazon-apigateway-gateway-responses"]["THROTTLED"]
    assert answer["responseParameters"]["gatewayresponse.header.retry-after"] == "'1'"


def test_the_stage_throttles_and_never_logs_bodies(stack: Stack) -> None:
    stage = stack.properties("ApiStage")
    assert stage["MethodSettings"] == [
        {
            "HttpMethod": "*",
            "ResourcePath": "/*",
            "ThrottlingRateLimit": "100",
            "ThrottlingBurstLimit": "200",
            "LoggingLevel": "OFF",
            "DataTraceEnabled": False,
            "MetricsEnabled": False,
        }
    ]


def test_the_function_is_our_runtime_in_the_managed_one(stack: Stack) -> None:
    function = stack.properties("ChatFunction")
    seen = {name: function[name] for name in ("Runtime", "Architectures", "Handler", "MemorySize", "Timeout")}
    assert seen == {
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "Handler": "functions.chat.app.app",
        "MemorySize": "512",
        "Timeout": 900,
    }
    absent = {"Layers", "ReservedConcurrentExecutions", "TracingConfig", "VpcConfig"}
    assert absent & set(function) == set()
    assert function["SnapStart"] == {"ApplyOn": "None"}


def test_the_function_is_told_what_settings_reads(stack: Stack) -> None:
    assert environment(stack) == {
        "AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap.sh",
        "TIDEGATE_TABLE": {"Ref": "Table"},
        "TIDEGATE_PROVIDER_SECRET": {"Ref": "ProviderSecret"},
        "TIDEGATE_TIMEOUT_SECONDS": "600",
        "TIDEGATE_CORS_ORIGINS": "*",
        "TIDEGATE_ALLOWED_PRICE_FIELDS": "",
        "TIDEGATE_KEEP_REASONING": "true",
        "TIDEGATE_TRACES": "on",
        "TIDEGATE_RESPONSE_STATE": "on",
        "TIDEGATE_SHOW_UPSTREAM_URLS": "false",
        "TIDEGATE_EVENT_BUS": "default",
        "TIDEGATE_REPLY_BUCKET": {"Ref": "ReplyBucket"},
        "TIDEGATE_WORKSPACE_SECRETS": {"Fn::Sub": "${AWS::StackName}/workspaces"},
        "TIDEGATE_BATCH_BUCKET": {"Ref": "BatchBucket"},
        "TIDEGATE_BATCH_QUEUE": {"Ref": "WorkQueue"},
        "TIDEGATE_LOG_LEVEL": "INFO",
        **METRICS,
        "TIDEGATE_TRANSPORT": "httptools",
    }


def test_all_functions_have_metrics_which_one_parameter_turns_off(deploy: Deploy) -> None:
    for parameters, expected in (({}, "emf"), ({"CallMetrics": "none"}, "none")):
        stack = deploy(**parameters)
        for name in ("Admin", "Batch", "Chat", "Keeper"):
            variables = stack.properties(f"{name}Function")["Environment"]["Variables"]
            assert {name: variables[name] for name in METRICS} == {**METRICS, "TIDEGATE_METRICS": expected}


@pytest.mark.parametrize(
    ("endpoint", "signals", "allowed"),
    [
        ("", "traces,metrics", set[str]()),
        ("https://collector.example", "traces,metrics", set[str]()),
        ("https://xray.eu-central-1.amazonaws.com", "traces", {"Spans"}),
        ("https://xray.eu-central-1.amazonaws.com", "traces,metrics", {"Spans", "OtlpMetrics"}),
    ],
)
def test_a_collector_is_a_parameter_and_cloudwatchs_needs_permission(
    deploy: Deploy, endpoint: str, signals: str, allowed: set[str]
) -> None:
    stack = deploy(OtlpEndpoint=endpoint, OtlpSignals=signals)
    for name in ("Chat", "Batch"):
        variables = stack.properties(f"{name}Function")["Environment"]["Variables"]
        settings = {name: variables.get(f"TIDEGATE_OTLP_{name}") for name in ("ENDPOINT", "SIGNALS")}
        assert settings == {"ENDPOINT": endpoint or None, "SIGNALS": signals if endpoint else None}
        [policy] = stack.properties(f"{name}Role")["Policies"]
        statements = {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}
        assert statements.keys() & {"Spans", "OtlpMetrics"} == allowed


def test_the_keeper_runs_every_five_minutes_and_is_never_run_again_for_a_failure(stack: Stack) -> None:
    rule = stack.properties("KeeperFunctionSchedule")
    assert (rule["ScheduleExpression"], rule.get("State", "ENABLED")) == (
        "rate(5 minutes)",
        "ENABLED",
    )
    function = stack.properties("KeeperFunction")
    seen = {name: function[name] for name in ("Runtime", "Architectures", "Handler", "MemorySize", "Timeout")}
    assert seen == {
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "Handler": "functions.keeper.app.handler",
        "MemorySize": 1769,
        "Timeout": 280,
    }
    assert function["LoggingConfig"] == {"LogGroup": {"Ref": "KeeperLogs"}, "LogFormat": "JSON"}
    assert function["Environment"]["Variables"] == {
        "TIDEGATE_TABLE": {"Ref": "Table"},
        "TIDEGATE_EVENT_BUS": "default",
        "TIDEGATE_LOG_LEVEL": "INFO",
        "TIDEGATE_TRANSPORT": "httptools",
        **METRICS,
    }
    (retries,) = stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    assert retries["MaximumRetryAttempts"] == 0
    assert RUN_SECONDS + ROLLUP_SECONDS + HOUR_SECONDS + 20 <= function["Timeout"] < 300


def test_one_parameter_replaces_the_http_client_of_all_functions(deploy: Deploy) -> None:
    stack = deploy(Transport="httpx")
    variables = [
        stack.properties(f"{name}Function")["Environment"]["Variables"] for name in ("Chat", "Batch", "Admin", "Keeper")
    ]
    assert [each["TIDEGATE_TRANSPORT"] for each in variables] == ["httpx"] * 4


@pytest.mark.parametrize(("architecture", "layer"), [("arm64", "Arm64"), ("x86_64", "X86")])
def test_the_web_adapter_is_one_parameter_away(deploy: Deploy, architecture: str, layer: str) -> None:
    stack = deploy(StreamingRuntime="web-adapter", Architecture=architecture)
    function = stack.properties("ChatFunction")
    variables = environment(stack)
    assert function["Handler"] == "run.sh"
    assert function["Layers"] == [
        {
            "Fn::Sub": [
                "arn:aws:lambda:${AWS::Region}:753240598075:layer:LambdaAdapterLayer${Processor}:30",
                {"Processor": layer},
            ]
        }
    ]
    assert {name: value for name, value in variables.items() if name.startswith("AWS_L")} == {
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
        "AWS_LWA_INVOKE_MODE": "response_stream",
        "AWS_LWA_READINESS_CHECK_PATH": "/health",
    }
    assert {found.get("responseTransferMode") for found in integrations(stack).values()} == {"STREAM", None}


def test_new_versions_arrive_gradually_and_leave_when_an_alarm_sounds(stack: Stack) -> None:
    (group,) = stack.of_type("AWS::CodeDeploy::DeploymentGroup").values()
    assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "Canary10Percent5Minutes"}
    assert group["AlarmConfiguration"] == {
        "Enabled": True,
        "Alarms": [{"Name": {"Ref": "ErrorsAlarm"}}, {"Name": {"Ref": "ThrottlesAlarm"}}],
    }
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    assert "CodeDeployLambdaAliasUpdate" in stack.resources[ALIAS]["UpdatePolicy"]


def test_concurrency_and_snapshots_are_parameters(deploy: Deploy) -> None:
    stack = deploy(ReservedConcurrency="50", ProvisionedConcurrency="2", DeploymentStrategy="AllAtOnce")
    assert stack.properties("ChatFunction")["ReservedConcurrentExecutions"] == "50"
    assert stack.properties(ALIAS)["ProvisionedConcurrencyConfig"] == {"ProvisionedConcurrentExecutions": "2"}
    snapshots = deploy(SnapStart="PublishedVersions").properties("ChatFunction")["SnapStart"]
    assert snapshots == {"ApplyOn": "PublishedVersions"}


def test_the_table_is_on_demand_expires_is_backed_up_and_cannot_be_lost(stack: Stack) -> None:
    resource = stack.resources["Table"]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert resource["Properties"] == {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "DeletionProtectionEnabled": "true",
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS"},
    }


def test_the_function_may_do_no_more_than_it_does(deploy: Deploy) -> None:
    stack = deploy(Batches="disabled")  # tests/infra/test_batch_template.py has what they add
    assert statements(stack) == {
        "ReadItems": on_items("BatchGetItem", "KEY#*", "OIDC#*", "WORKSPACE#*", *CALLS, *KEPT, "HEALTH"),
        "Query": on_items("Query", "OIDC#*", "WS#*"),
        "WriteItems": on_items(PUT_AND_UPDATE, *CALLS, "HEALTH"),
        "WriteTraces": on_items("PutItem", "TRACES#*"),
        "WriteResponses": on_items(["dynamodb:DeleteItem", "dynamodb:PutItem"], "RESPONSES#*"),
        "ProviderSecret": {
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": {"Ref": "ProviderSecret"},
        },
        "Logs": {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["ChatLogs", "Arn"]},
        },
        "WorkspaceSecrets": {
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": WORKSPACE_SECRETS,
        },
        "Events": TELLS,
        "Replies": {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": REPLIES},
        "LargeTraces": {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": TRACES},
        "LargeResponses": {
            "Effect": "Allow",
            "Action": ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            "Resource": RESPONSES,
        },
    }
    assert "ManagedPolicyArns" not in stack.properties("ChatRole")


def test_the_keeper_may_do_no_more_than_it_does(stack: Stack) -> None:
    allowed = statements(stack, "KeeperRole")
    attributes = allowed["QueryCalls"]["Condition"].pop("StringEquals") | allowed["QueryCalls"]["Condition"]
    assert attributes["dynamodb:Select"] == "SPECIFIC_ATTRIBUTES"
    assert {*attributes["ForAllValues:StringLike"].pop("dynamodb:Attributes")} == {*RECORD_ATTRIBUTES, "calls", "hours"}
    assert allowed == {
        "ReadItems": on_items("BatchGetItem", *CALLS, "STATS#*", "SWEEPER"),
        "Query": on_items("Query", "WORKSPACES", "WORKSPACE#*", "STATS#*"),
        "QueryCalls": on_items("Query", "WS#*"),
        "WriteItems": on_items(PUT_AND_UPDATE, *CALLS, "STATS#*", "SWEEPER"),
        "Logs": {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["KeeperLogs", "Arn"]},
        },
        "Events": TELLS,
    }
    assert "ManagedPolicyArns" not in stack.properties("KeeperRole")


def test_the_control_plane_may_do_no_more_than_it_does(stack: Stack) -> None:
    write = ["dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem"]
    assert statements(stack, "AdminRole") == {
        "ReadItems": on_items("BatchGetItem", *RESOURCES, "HEALTH", *CALLS, "TRACES#*"),
        "Query": on_items(
            *("Query", "OIDC#*", "WORKSPACE#*", "WORKSPACES", "PLANS", "ADMINS", "AUDIT", "WS#*", "STATS#*", *BATCHES),
            *KEPT,
        ),
        "WriteItems": on_items(write, *RESOURCES),
        "DeleteBatches": on_items("DeleteItem", *BATCHES),
        "DeleteAggregates": on_items("DeleteItem", "STATS#*"),
        "DestroyTraces": on_items(["dynamodb:DeleteItem", "dynamodb:UpdateItem"], *KEPT),
        "LargeTraces": {"Effect": "Allow", "Action": ["s3:DeleteObject", "s3:GetObject"], "Resource": TRACES},
        "LargeResponses": {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": RESPONSES},
        "WriteAudit": on_items("PutItem", "AUDIT"),
        "CloseAccounts": on_items("DeleteItem", "WS#*"),
        "Logs": {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": {"Fn::GetAtt": ["AdminLogs", "Arn"]},
        },
        "WorkspaceSecrets": {
            "Effect": "Allow",
            "Action": [f"secretsmanager:{action}" for action in ("CreateSecret", "GetSecretValue", "PutSecretValue")],
            "Resource": WORKSPACE_SECRETS,
        },
    }
    assert "ManagedPolicyArns" not in stack.properties("AdminRole")


def test_another_bus_is_told_and_no_other(deploy: Deploy) -> None:
    stack = deploy(EventBusName="tides")
    assert environment(stack)["TIDEGATE_EVENT_BUS"] == "tides"
    assert stack.properties("KeeperFunction")["Environment"]["Variables"]["TIDEGATE_EVENT_BUS"] == "tides"
    for role in ("ChatRole", "KeeperRole", "BatchRole"):
        assert statements(stack, role)["Events"]["Resource"]["Fn::Sub"].endswith(":event-bus/${EventBusName}")


def test_a_key_and_bedrock_models_of_ones_own_add_only_themselves(deploy: Deploy) -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    model = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0"
    stack = deploy(KmsKeyArn=key, BedrockModelArns=model)
    allowed = statements(stack)
    assert allowed["Bedrock"]["Resource"] == [model]
    assert allowed["Key"]["Resource"] == key
    assert stack.properties("Table")["SSESpecification"]["KMSMasterKeyId"] == key
    assert stack.properties("ProviderSecret")["KmsKeyId"] == key
    assert stack.properties("ChatLogs")["KmsKeyId"] == key
    (encryption,) = stack.properties("ReplyBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    through = [
        {"Fn::Sub": f"{name}.${{AWS::Region}}.${{AWS::URLSuffix}}"}
        for name in ("dynamodb", "s3", "secretsmanager", "sqs")
    ]
    assert allowed["Key"]["Condition"] == {"StringEquals": {"kms:ViaService": through}}
    for name in ("Keeper", "Admin", "Batch"):
        assert statements(stack, f"{name}Role")["Key"]["Resource"] == key
        assert stack.properties(f"{name}Logs")["KmsKeyId"] == key
    for name in ("Chat", "Keeper", "Admin", "Batch"):  # the functions' environments
        assert stack.properties(f"{name}Function")["KmsKeyArn"] == key
    brought = stack.properties("AdminFunction")["Environment"]["Variables"]["TIDEGATE_WORKSPACE_SECRETS_KEY"]
    assert brought == key


def test_a_key_of_ones_own_wraps_the_keys_of_traces_each_for_its_workspace(deploy: Deploy) -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    stack = deploy(KmsKeyArn=key)
    for name in ("Chat", "Batch", "Admin"):
        assert stack.properties(f"{name}Function")["Environment"]["Variables"]["TIDEGATE_TRACE_KEY"] == key
        assert statements(stack, f"{name}Role")["TraceKeys"] == {
            "Effect": "Allow",
            "Action": "kms:Decrypt" if name == "Admin" else ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": key,
            "Condition": {"StringLike": {"kms:EncryptionContext:workspace": "ws_*"}},
        }
    assert "TraceKeys" not in statements(stack, "KeeperRole")
    assert "TIDEGATE_TRACE_KEY" not in stack.properties("KeeperFunction")["Environment"]["Variables"]


def test_one_parameter_keeps_no_content_of_anybody(deploy: Deploy) -> None:
    for traces in ("on", "off"):
        stack = deploy(Traces=traces)
        for name in ("Chat", "Batch"):
            assert stack.properties(f"{name}Function")["Environment"]["Variables"]["TIDEGATE_TRACES"] == traces


def test_guardrails_are_the_operators_and_bedrocks_are_named(deploy: Deploy) -> None:
    arn = "arn:aws:bedrock:eu-central-1:123456789012:guardrail/abc123"
    stack = deploy(Guardrails="[]", BedrockGuardrailArns=arn)
    assert environment(stack)["TIDEGATE_GUARDRAILS"] == "[]"
    allowed = {"Effect": "Allow", "Action": "bedrock:ApplyGuardrail", "Resource": [arn]}
    assert statements(stack)["BedrockGuardrails"] == allowed


def test_routes_are_the_operators(deploy: Deploy) -> None:
    assert environment(deploy(Routes="[]"))["TIDEGATE_ROUTES"] == "[]"


def test_timeouts_are_the_operators(deploy: Deploy) -> None:
    assert environment(deploy(Timeouts="{}"))["TIDEGATE_TIMEOUTS"] == "{}"
    assert "TIDEGATE_TIMEOUTS" not in environment(deploy())


def test_no_policy_of_ours_has_a_wildcard_but_for_objects_and_the_secrets_that_workspaces_bring(deploy: Deploy) -> None:
    stack = deploy(BedrockModelArns="arn:aws:bedrock:eu-central-1::foundation-model/amazon.nova-lite-v1:0")
    objects = [{"Fn::Sub": f"${{BatchBucket.Arn}}/{name}/*"} for name in ("batches", "files", "uploads", "workspaces")]
    for role in ("ChatRole", "KeeperRole", "AdminRole", "BatchRole"):
        for statement in statements(stack, role).values():
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            found = [item for item in (*resources, *actions) if "*" in str(item)]
            allowed = (WORKSPACE_SECRETS, TRACES, RESPONSES, *REPLIES, *objects)
            assert found == [item for item in resources if item in allowed]


TRACE_RULES = ("traces-of-a-week", "traces-of-a-month", "traces-of-a-quarter")


def test_a_large_trace_is_deleted_by_a_rule_for_every_time_that_a_workspace_may_set() -> None:
    assert OBJECT_DAYS[-1] >= MAX_TRACE_DAYS
    lifetimes = {prefix: days for prefix, days in LIFETIME_DAYS.items() if prefix.startswith("traces/")}
    assert lifetimes == {f"traces/{days}": days + 1 for days in OBJECT_DAYS}


def test_replies_lie_in_a_bucket_that_is_closed_encrypted_and_empties_itself(stack: Stack) -> None:
    resource = stack.resources["ReplyBucket"]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    longest = MAX_CACHE_TTL_SECONDS // 86_400 + 1
    assert resource["Properties"] == {
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        ),
        "LifecycleConfiguration": {
            "Rules": [
                {"Id": "cache", "Prefix": "cache/", "Status": "Enabled", "ExpirationInDays": longest},
                {"Id": "idempotency", "Prefix": "idem/", "Status": "Enabled", "ExpirationInDays": 2},
                *(
                    {"Id": name, "Prefix": f"traces/{days}/", "Status": "Enabled", "ExpirationInDays": days + 1}
                    for name, days in zip(TRACE_RULES, OBJECT_DAYS, strict=True)
                ),
                {
                    "Id": "responses",
                    "Prefix": f"responses/{STATE_DAYS}/",
                    "Status": "Enabled",
                    "ExpirationInDays": STATE_DAYS + 1,
                },
            ]
        },
    }


def test_nobody_reads_replies_without_tls(stack: Stack) -> None:
    (statement,) = stack.properties("ReplyBucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [
        {"Fn::GetAtt": ["ReplyBucket", "Arn"]},
        {"Fn::Sub": "${ReplyBucket.Arn}/*"},
    ]


def test_a_secret_that_exists_is_used_instead_of_a_new_one(deploy: Deploy) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:providers-AbCdEf"
    stack = deploy(ProviderSecretArn=arn)
    assert "ProviderSecret" not in stack.resources
    assert environment(stack)["TIDEGATE_PROVIDER_SECRET"] == arn
    assert statements(stack)["ProviderSecret"]["Resource"] == arn


def test_the_function_logs_to_its_own_group_for_a_month(stack: Stack) -> None:
    assert stack.properties("ChatFunction")["LoggingConfig"] == {"LogGroup": {"Ref": "ChatLogs"}, "LogFormat": "JSON"}
    assert stack.properties("ChatLogs") == {"RetentionInDays": "30"}


def test_the_outputs_are_what_a_caller_and_an_operator_need(stack: Stack) -> None:
    base = "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${StageName}"
    values = {name: output["Value"] for name, output in stack.outputs.items()}
    assert values == {
        "BaseUrl": {"Fn::Sub": f"{base}/v1"},
        "NeuroflashUrl": {"Fn::Sub": f"{base}/api/ds-prototypes"},
        "ConsoleUrl": {"Fn::Sub": f"{base}/console/index.html"},
        "AdminUrl": {"Fn::Sub": f"{base}/admin/v1"},
        "HealthUrl": {"Fn::Sub": f"{base}/health"},
        "DashboardUrl": {
            "Fn::Sub": "https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home"
            "?region=${AWS::Region}#dashboards:name=${OperationsDashboard}"
        },
        "ApiId": {"Ref": "Api"},
        "TableName": {"Ref": "Table"},
        "ProviderSecretId": {"Ref": "ProviderSecret"},
        "FunctionName": {"Ref": "ChatFunction"},
        "FunctionAliasArn": {"Ref": ALIAS},
        "BatchBucketName": {"Ref": "BatchBucket"},
        "BatchIntakeUrl": {"Ref": "IntakeQueue"},
        "BatchFunctionName": {"Ref": "BatchFunction"},
        "LogGroupName": {"Ref": "ChatLogs"},
    }
    assert all(output["Description"] for output in stack.outputs.values())
