"""`tidegate calls replay`: a call again, to its model or another one, beside the recorded answer."""

import argparse
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from itertools import zip_longest

from msgspec import Struct

from tidegate.cli.calls_answer import LiveAnswer, receive_answer
from tidegate.cli.calls_client import CallsClient
from tidegate.cli.calls_show import trace_of
from tidegate.cli.calls_text import answer_text, count, model_of, object_of, one_line, printable, seconds, usd
from tidegate.cli.output import CommandOutput, columns
from tidegate.cli.server_client import RequestFailed
from tidegate.control.authorization import ADMIN_SECRET_PREFIX
from tidegate.errors import ConfigurationError
from tidegate.json import JsonObject

RECORD_LOOKS, RECORD_PAUSE_SECONDS = 10, 0.5
"""The record of a call is there when it has been settled, shortly after its last token."""

_NARROWEST = 60


class _Side(Struct, frozen=True):
    """One of both calls: its record, which may be missing, and its answer."""

    title: str
    record: Mapping[str, object]
    answer: str

    def figures(self) -> tuple[str, ...]:
        record = self.record
        return (
            model_of(record),
            one_line(" ".join(str(record[name]) for name in ("status", "error_code") if record.get(name)) or "–"),
            seconds(record.get("first_event_seconds")),
            seconds(record.get("seconds")),
            *(count(record.get(f"{kind}_tokens")) for kind in ("input", "cached", "output", "reasoning")),
            usd(record.get("cost_usd")) if record else "–",
            str(record.get("id") or "–"),
        )


_LABELS = ("model", "status", "first token", "duration", "input", "cached", "output", "reasoning", "cost", "id")


def replay_call(options: argparse.Namespace, client: CallsClient, sleep: Callable[[float], None] = time.sleep) -> int:
    """Make the call again with the caller's own key, and print both. 2 if the new call has failed.

    Raises `NotFound` if the call's content was not kept, `ConfigurationError`, and `RequestFailed`.
    """
    if client.key.startswith(ADMIN_SECRET_PREFIX):
        raise ConfigurationError("A replay makes a call, and admin keys make none: use the key that made the call.")
    call = client.call(options.id, with_content=True)
    record, trace = object_of(call.get("record")), trace_of(call)
    request = trace.get("request")
    if not isinstance(request, dict) or "base64" in request:
        raise ConfigurationError("The request of this call is not JSON: it cannot be made again.")
    body: JsonObject = {**request, "caching": False}  # a stored reply would tell nothing about the model
    if options.model:
        body["model"] = options.model
    masked = trace.get("masked")
    _confirm(options, record, body, is_masked=isinstance(masked, list) and bool(masked))
    with client.send(_path_of(record), body, str(record.get("workspace_id"))) as reply:
        live = receive_answer(reply)
    recorded = _Side("RECORDED", record, answer_text(trace.get("answer"), trace.get("error")))
    replayed = _Side("REPLAY", _find_record(client, live, sleep) or live.figures(body), live.text)
    data = {side.title.lower(): {"record": side.record, "answer": side.answer} for side in (recorded, replayed)}
    CommandOutput(data, _text(recorded, replayed)).show(options.json)
    return 2 if live.failed else 0


def _confirm(options: argparse.Namespace, record: JsonObject, body: JsonObject, *, is_masked: bool) -> None:
    """Ask on the terminal whether to make the call. Raises `ConfigurationError` if it must not be made."""
    if is_masked:
        print("tidegate: The trace is masked: the masked texts are sent.", file=sys.stderr)
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("A replay makes a call that costs money: add --yes to make it.")
    cost = usd(record.get("cost_usd"))
    question = f"This calls {one_line(body.get('model'))} with your key. The recorded call cost {cost}. Go on? [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigurationError("No call was made.")


def _path_of(record: JsonObject) -> str:
    path = record.get("endpoint")
    if not isinstance(path, str) or not path.startswith("/"):
        raise ConfigurationError("The record of this call does not name its endpoint: it cannot be made again.")
    return path


def _find_record(client: CallsClient, live: LiveAnswer, sleep: Callable[[float], None]) -> JsonObject | None:
    """Return the record of the new call, None if there is none after some seconds."""
    for _ in range(RECORD_LOOKS if live.call_id else 0):
        try:
            return object_of(client.call(live.call_id, with_content=False).get("record"))
        except RequestFailed as error:
            if error.status != 404 and not error.may_pass:
                return None
        sleep(RECORD_PAUSE_SECONDS)
    return None


def _text(recorded: _Side, replayed: _Side) -> str:
    rows = list(zip(_LABELS, recorded.figures(), replayed.figures(), strict=True))
    width = max(_NARROWEST, shutil.get_terminal_size().columns)
    half = (width - 3) // 2
    left, right = (_wrapped(side.answer, half) for side in (recorded, replayed))
    heads = f"{recorded.title.ljust(half)} | {replayed.title}"
    lines = [f"{one.ljust(half)} | {other}".rstrip() for one, other in zip_longest(left, right, fillvalue="")]
    return "\n\n".join((columns(("", recorded.title, replayed.title), rows), "\n".join((heads, *lines))))


def _wrapped(text: str, width: int) -> list[str]:
    paragraphs = printable(text).expandtabs(4).split("\n")
    return [line for paragraph in paragraphs for line in textwrap.wrap(paragraph, width) or [""]]
