"""How requests reach the functions: domain name, TLS, web ACL, the admin API's place, CORS, and the access log."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.roles import read_template
from tests.infra.stack import Stack, broken_rules

Deploy = Callable[..., Stack]

ANY = "x-amazon-apigateway-any-method"
ADMIN_PATH, CONSOLE_PATHS = "/admin/{proxy+}", {"/console", "/console/{proxy+}"}
ACL = "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/tidegate/1a2b"
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/1a2b"
DOMAIN = {"DomainName": "ai.example.com", "DomainCertificateArn": CERTIFICATE}
STRICTER = "SecurityPolicy_TLS13_1_3_2025_09"


def body(stack: Stack, api: str = "Api") -> dict[str, Any]:
    return stack.properties(api)["Body"]


def origins(stack: Stack) -> set[object]:
    """What API Gateway's own responses say of the origins that may read them."""
    responses = body(stack)["x-amazon-apigateway-gateway-responses"].values()
    name = "gatewayresponse.header.Access-Control-Allow-Origin"
    return {str(response["responseParameters"].get(name)) for response in responses}


@pytest.mark.parametrize("configured", ["*", "https://app.example.com"])
def test_api_gateways_own_responses_allow_the_origin_that_is_configured(deploy: Deploy, configured: str) -> None:
    assert origins(deploy(CorsOrigins=configured)) == {str({"Fn::Sub": "'${CorsOrigins}'"})}


@pytest.mark.parametrize("configured", ["", "https://a.example.com,https://b.example.com"])
def test_they_allow_none_where_several_or_none_are_configured(deploy: Deploy, configured: str) -> None:
    assert origins(deploy(CorsOrigins=configured)) == {"None"}


def test_by_default_the_admin_api_is_a_path_of_the_api(stack: Stack) -> None:
    assert set(body(stack)["paths"]) == {"/", "/{proxy+}", ADMIN_PATH, *CONSOLE_PATHS}
    assert set(stack.of_type("AWS::ApiGateway::RestApi")) == {"Api"}
    assert stack.properties("AdminPermission")["SourceArn"]["Fn::Sub"][1] == {"Id": {"Ref": "Api"}}


def test_an_admin_api_of_its_own_leaves_no_path_to_it_on_the_other(deploy: Deploy) -> None:
    stack = deploy(AdminApi="own")
    paths = body(stack, "AdminRestApi")["paths"]
    assert (set(body(stack)["paths"]), set(paths)) == ({"/", "/{proxy+}"}, {"/", ADMIN_PATH, *CONSOLE_PATHS})
    assert all(path == paths[ADMIN_PATH] for path in paths.values())
    uri = paths[ADMIN_PATH][ANY]["x-amazon-apigateway-integration"]["uri"]
    assert uri["Fn::Sub"].endswith("/functions/${AdminFunction.Arn}/invocations")
    console = stack.properties("AdminConsolePermission")["SourceArn"]["Fn::Sub"]
    assert (console[0].endswith("/*/console*"), console[1]) == (True, {"Id": {"Ref": "AdminRestApi"}})
    assert stack.properties("AdminRootPermission")["SourceArn"]["Fn::Sub"].endswith(":${AdminRestApi}/${StageName}/*/")
    assert stack.properties("AdminPermission")["SourceArn"]["Fn::Sub"][1] == {"Id": {"Ref": "AdminRestApi"}}
    assert "${AdminRestApi}" in stack.outputs["AdminUrl"]["Value"]["Fn::Sub"]
    assert stack.properties("AdminRestApi")["MinimumCompressionSize"] == 1000  # of the dashboard's pages
    url = stack.properties("AdminFunction")["Environment"]["Variables"]["TIDEGATE_API_URL"]["Fn::Sub"]
    assert f"{url}/v1" == stack.outputs["BaseUrl"]["Value"]["Fn::Sub"]
    settings = [stack.properties(stage)["MethodSettings"] for stage in ("ApiStage", "AdminRestApiStage")]
    assert settings[0] == settings[1]
    assert "x-amazon-apigateway-policy" not in body(stack, "AdminRestApi")


def test_without_an_admin_api_nothing_of_it_is_deployed(deploy: Deploy) -> None:
    stack = deploy(AdminApi="none")
    assert set(body(stack)["paths"]) == {"/", "/{proxy+}"}
    assert [name for name in (*stack.resources, *stack.outputs) if name.startswith(("Admin", "Console"))] == []


def test_only_listed_networks_reach_an_admin_api_of_its_own(deploy: Deploy) -> None:
    stack = deploy(AdminApi="own", AdminAllowedCidrs="203.0.113.0/24,2001:db8::/32")
    allow, deny = body(stack, "AdminRestApi")["x-amazon-apigateway-policy"]["Statement"]
    everything = {"Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    assert allow == {"Effect": "Allow", **everything}
    ranges = {"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]}}
    assert deny == {"Effect": "Deny", **everything, "Condition": ranges}


def test_the_dashboard_on_a_host_of_its_own_makes_calls_at_the_domain_name(deploy: Deploy) -> None:
    stack = deploy(AdminApi="own", **DOMAIN)
    url = stack.properties("AdminFunction")["Environment"]["Variables"]["TIDEGATE_API_URL"]
    assert url == {"Fn::Sub": "https://${DomainName}"}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"AdminAllowedCidrs": "203.0.113.0/24"}, "AdminApi=own"),
        ({"AdminAllowedCidrs": "203.0.113.0/24", "AdminApi": "none"}, "AdminApi=own"),
        ({"DomainName": "ai.example.com"}, "DomainCertificateArn"),
        ({"AdminAllowedCidrs": "203.0.113.0/24", "AdminApi": "own", **DOMAIN}, None),
    ],
)
def test_what_would_not_protect_is_refused_before_anything_is_deployed(
    parameters: dict[str, str], named: str | None
) -> None:
    broken = broken_rules(read_template(), parameters)
    assert len(broken) == (named is not None)
    assert all(str(named) in text for text in broken)


def test_tls_1_2_is_the_least_for_everything_that_listens(deploy: Deploy) -> None:
    for policy, mode in (({}, None), ({"TlsPolicy": STRICTER}, "STRICT")):
        stack = deploy(AdminApi="own", **DOMAIN, **policy)
        seen = [stack.properties(name) for name in ("Api", "AdminRestApi", "Domain")]
        least = [(each["SecurityPolicy"], each.get("EndpointAccessMode")) for each in seen]
        assert least == [(policy.get("TlsPolicy", "TLS_1_2"), mode)] * 3


def test_no_tls_policy_on_offer_takes_less_than_tls_1_2() -> None:
    offered = read_template()["Parameters"]["TlsPolicy"]["AllowedValues"]
    assert [name for name in offered if not name.startswith(("TLS_1_2", "SecurityPolicy_TLS13_1_"))] == []


def test_a_domain_name_leads_to_the_api_and_can_be_the_only_way_in(deploy: Deploy) -> None:
    stack = deploy(**DOMAIN, DefaultEndpoint="disabled")
    domain = stack.properties("Domain")
    assert (domain["DomainName"], domain["RegionalCertificateArn"]) == (DOMAIN["DomainName"], CERTIFICATE)
    mapping = {"DomainName": {"Ref": "Domain"}, "RestApiId": {"Ref": "Api"}, "Stage": {"Ref": "ApiStage"}}
    assert stack.properties("DomainMapping") == mapping
    assert disabled(stack) is True
    for name in ("BaseUrl", "NeuroflashUrl", "HealthUrl", "AdminUrl"):
        assert stack.outputs[name]["Value"]["Fn::Sub"].startswith("https://${DomainName}/")


def disabled(stack: Stack) -> bool:
    [server] = body(stack)["servers"]
    return server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"]


def test_by_default_there_is_no_domain_name_and_api_gateways_own_url(stack: Stack) -> None:
    assert {"Domain", "DomainMapping", "WebAclAssociation", "AdminWebAclAssociation"} & set(stack.resources) == set()
    assert disabled(stack) is False


def test_a_web_acl_is_before_each_api(deploy: Deploy) -> None:
    assert set(deploy(WebAclArn=ACL).of_type("AWS::WAFv2::WebACLAssociation")) == {"WebAclAssociation"}
    associations = deploy(WebAclArn=ACL, AdminApi="own").of_type("AWS::WAFv2::WebACLAssociation")
    assert {name: each["WebACLArn"] for name, each in associations.items()} == {
        "WebAclAssociation": ACL,
        "AdminWebAclAssociation": ACL,
    }
    stages = [each["ResourceArn"]["Fn::Sub"].rpartition("::")[2] for each in associations.values()]
    assert sorted(stages) == [
        "/restapis/${AdminRestApi}/stages/${AdminRestApiStage}",
        "/restapis/${Api}/stages/${ApiStage}",
    ]


def test_a_changed_parameter_of_an_api_reaches_its_stage() -> None:
    apis = ("Api", "AdminRestApi")
    assert [read_template()["Resources"][name]["Properties"]["AlwaysDeploy"] for name in apis] == [True, True]


def test_access_logs_are_on_and_hold_no_query_header_body_or_address(deploy: Deploy) -> None:
    stack = deploy(AdminApi="own", LogRetentionDays="14")
    for stage in ("ApiStage", "AdminRestApiStage"):
        setting = stack.properties(stage)["AccessLogSetting"]
        fields = json.loads(setting["Format"])
        assert setting["DestinationArn"] == {"Fn::GetAtt": ["ApiLogs", "Arn"]}
        assert {name: value for name, value in fields.items() if name in ("path", "status")} == {
            "path": "$context.path",
            "status": "$context.status",
        }
        assert {value.removeprefix("$context.").partition(".")[0] for value in fields.values()} == {
            *("requestTime", "requestId", "httpMethod", "path", "status", "responseLatency", "responseLength"),
            *("integrationStatus", "integrationLatency", "error"),
        }
    assert stack.properties("ApiLogs")["RetentionInDays"] == "14"
    assert stack.resources["Api"]["DependsOn"] == "ApiGatewayAccount"


def test_the_accounts_log_role_is_made_kept_or_left_alone(deploy: Deploy) -> None:
    made = deploy()
    assert made.properties("ApiGatewayAccount") == {"CloudWatchRoleArn": {"Fn::GetAtt": ["ApiGatewayLogsRole", "Arn"]}}
    kept = [made.resources[name]["DeletionPolicy"] for name in ("ApiGatewayAccount", "ApiGatewayLogsRole")]
    assert kept == ["Retain", "Retain"]
    for parameters in ({"ApiGatewayLogRole": "existing"}, {"AccessLogs": "disabled"}):
        stack = deploy(**parameters)
        assert {"ApiGatewayAccount", "ApiGatewayLogsRole"} & set(stack.resources) == set()
    assert "AccessLogSetting" not in deploy(AccessLogs="disabled").properties("ApiStage")
