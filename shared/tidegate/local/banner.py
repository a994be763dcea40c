"""The banner that the local server prints when it is ready, with everything that a first call needs."""

from collections.abc import Sequence

from tidegate.gateway import Gateway
from tidegate.local.demo_keys import DemoKeys
from tidegate.local.demo_tenant import DEMO_WORKSPACE
from tidegate.local.host_check import is_wildcard

_CURL = """curl -N {base}/chat/completions -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
  -d '{{"model": "demo/echo", "stream": true, "messages": [{{"role": "user", "content": "Hello, tide."}}]}}'"""


Places = Sequence[tuple[str, str]]
"""Where something is on this machine, with a name of at most nine characters: ("data", "/home/…")."""


def banner(host: str, port: int, store: str, places: Places, gateway: Gateway, demo_keys: DemoKeys | None) -> str:
    """Format the base URL, the demo tenant if there is one, where the data are, the providers, and a curl."""
    host_here = "127.0.0.1" if is_wildcard(host) else host
    url_host = f"[{host_here}]" if ":" in host_here else host_here
    base = f"http://{url_host}:{port}/v1"
    usable_providers = [
        name for name, endpoint in sorted(gateway.router.provider_configs.items()) if not endpoint.missing_settings
    ]
    place_lines = [f"  {name:<9}  {place}" for name, place in places]
    root = f"http://{url_host}:{port}"
    admin = f"{root}/admin/v1"
    lines = [f"Tidegate serves {base}  (store: {store}; OpenAPI: http://{url_host}:{port}/docs)"]
    if is_wildcard(host):
        lines += ["", "  WARNING: other machines can reach this server. Whoever knows a key can use it."]
    if demo_keys is None:
        lines += [
            "",
            *place_lines,
            f"  dashboard  {root}",
            f"  providers  {', '.join(usable_providers)}",
            f"  admin API  {admin}/docs   (its first key: tidegate admin-keys create --name ops)",
        ]
        return "\n".join(lines) + "\n"
    lines += [
        "",
        f"  key        {demo_keys.key}   (for the examples: export KEY={demo_keys.key})",
        f"  dashboard  {root}   (sign in with one of the two keys)",
        f"  workspace  {DEMO_WORKSPACE}",
        f"  admin key  {demo_keys.admin_key}   (admin API: {admin}/docs)",
        f"  providers  {', '.join(usable_providers)}   (for more, set OPENAI_API_KEY or another provider's key)",
        *place_lines,
        "",
        _CURL.format(base=base, key=demo_keys.key),
    ]
    return "\n".join(lines) + "\n"
