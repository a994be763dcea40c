"""The banner that the local server prints when it is ready, with everything that a first call needs."""

from tidegate.gateway import Gateway
from tidegate.local.embedded import DEMO_ADMIN, DEMO_KEY, DEMO_WORKSPACE

_CURL = """curl -N {base}/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
  -d '{{"model": "demo/echo", "stream": true, "messages": [{{"role": "user", "content": "Hello, tide."}}]}}'"""


def banner(host: str, port: int, store: str, endpoint: str | None, gateway: Gateway) -> str:
    """Format the base URL, the demo tenant and DynamoDB's endpoint if the store has them, the providers, and a curl."""
    url_host = f"[{host}]" if ":" in host else host
    base = f"http://{url_host}:{port}/v1"
    usable_providers = [
        name for name, endpoint in sorted(gateway.router.provider_configs.items()) if not endpoint.missing_settings
    ]
    admin = f"http://{url_host}:{port}/admin/v1"
    lines = [f"Tidegate serves {base}  (store: {store}; OpenAPI: http://{url_host}:{port}/docs)"]
    if store == "aws":
        lines += [
            "",
            "  keys and workspaces   from your table",
            f"  providers             {', '.join(usable_providers)}",
            f"  admin API             {admin}/docs",
        ]
        return "\n".join(lines) + "\n"
    lines += [
        "",
        f"  key        {DEMO_KEY}",
        f"  workspace  {DEMO_WORKSPACE}",
        f"  admin key  {DEMO_ADMIN}   (admin API: {admin}/docs)",
        f"  providers  {', '.join(usable_providers)}   (for more, set OPENAI_API_KEY or another provider's key)",
        *([] if store == "memory" else [f"  DynamoDB   {endpoint}"]),
        "",
        _CURL.format(base=base, key=DEMO_KEY),
    ]
    return "\n".join(lines) + "\n"
