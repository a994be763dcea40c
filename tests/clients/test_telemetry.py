"""`serve` with a collector on a socket: calls of a real client, read with the protocol's own messages."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from openai import OpenAI

from tests.clients.programs import until
from tests.clients.world import DEMO_KEY, serving, user
from tests.collector import Collector, attributes

pytestmark = pytest.mark.slow

MODEL = "demo/echo"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@contextmanager
def collecting() -> Iterator[tuple[Collector, int]]:
    """A collector on a free port of this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(f"http://{self.headers['host']}{self.path}", self.path, dict(self.headers), body)
            self.send_response(collector.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(collector.answer)))
            self.end_headers()
            self.wfile.write(collector.answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield collector, server.server_port
        server.shutdown()


@pytest.mark.parametrize("transport", ["httptools", "aiohttp", "pyreqwest"])
def test_each_call_of_a_client_arrives_as_a_trace_and_as_metrics(transport: str) -> None:
    with collecting() as (collector, port):
        env = {
            "TIDEGATE_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "TIDEGATE_OTLP_SIGNALS": "traces,metrics",
            "TIDEGATE_OTLP_HEADERS": "authorization=Bearer%20collector-token",
            "TIDEGATE_TRANSPORT": transport,
        }
        with serving("--store", "memory", env=env) as (program, served):
            with OpenAI(base_url=f"http://127.0.0.1:{served}/v1", api_key=DEMO_KEY, max_retries=0) as client:
                header = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
                raw = client.chat.completions.with_raw_response.create(
                    model=MODEL, messages=user("Hello"), extra_headers=header
                )
                stream = client.chat.completions.create(model=MODEL, messages=user("Hello again"), stream=True)
                assert list(stream)
            until(lambda: len(collector.received) == 4)  # a call is sent after its reply
        assert program.err == []
    assert {request.headers["authorization"] for request in collector.received} == {"Bearer collector-token"}
    whole, streamed = collector.traces
    assert (whole[0].trace_id.hex(), whole[0].parent_span_id.hex()) == (TRACE, CALLER)
    assert raw.headers["traceparent"] == f"00-{TRACE}-{whole[0].span_id.hex()}-01"
    assert streamed[0].trace_id.hex() != TRACE
    for spans in (whole, streamed):
        call, attempt = spans
        assert (call.name, attempt.name, attempt.parent_span_id) == (
            "POST /v1/chat/completions",
            "chat echo",
            call.span_id,
        )
        assert attributes(attempt.attributes)["gen_ai.usage.output_tokens"] > 0
    usage = [metric for metric in collector.metrics if metric.name == "gen_ai.client.token.usage"]
    assert len(usage) == 4


def test_a_collector_that_never_answers_is_one_line_in_the_log() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {"TIDEGATE_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        with serving("--store", "memory", env=env) as (program, served):
            with OpenAI(base_url=f"http://127.0.0.1:{served}/v1", api_key=DEMO_KEY, max_retries=0) as client:
                assert client.chat.completions.create(model=MODEL, messages=user("Hello"), max_tokens=1).choices
            line = json.loads(program.said("otlp.lost"))
    assert (line["signal"], line["reason"], line["lost"]) == ("traces", "timeout", 1)
