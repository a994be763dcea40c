"""`python -m tidegate batch submit | list | show | cancel | results | resume`: batches, over HTTP with a key.

Exit codes: 0 all lines were answered, 1 some were not, 2 the command or the batch failed.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import httpx

from tidegate.cli.batch_client import BatchClient
from tidegate.cli.batch_progress import TERMINAL_STATUSES, Display, Watch, parse_progress
from tidegate.cli.batch_upload import upload
from tidegate.cli.output import CommandOutput, columns, pairs, show_help
from tidegate.cli.server_access import add_server_options, find_server
from tidegate.cli.workspaces import Subparsers
from tidegate.domain.record import iso_time
from tidegate.errors import ConfigurationError, TidegateError
from tidegate.json import Json, JsonObject

Command: TypeAlias = Callable[[argparse.Namespace, BatchClient, Display], int]

ANSWERED, SOME_FAILED, FAILED = 0, 1, 2
INTERRUPTED = 130

_OUTPUT, _ERRORS = "output", "errors"


def add_parser(commands: Subparsers, name: str, summary: str) -> None:
    """Add the command with its subcommands. `main` calls `run` with the parsed options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print JSON, and nothing else")
    add_server_options(common)
    common.set_defaults(run=run)
    parser = commands.add_parser(name, help=summary)
    parser.set_defaults(run=show_help(parser))
    subparsers = parser.add_subparsers(metavar="command")
    _add_submit(subparsers, common)
    listing = subparsers.add_parser("list", parents=[common], help="list the workspace's batches, the newest first")
    listing.add_argument("--limit", type=int, default=20, help="the number of batches, at most 100; default: 20")
    listing.add_argument("--after", metavar="ID", help="continue after this batch")
    listing.set_defaults(command=list_batches)
    summaries: dict[str, tuple[Command, str]] = {
        "show": (show_batch, "show a batch: its status, lines, tokens and cost"),
        "cancel": (cancel_batch, "end a batch; what is answered so far becomes its results"),
        "results": (fetch_results, "print the answers of a batch, or write them to a folder"),
        "resume": (resume_batch, "let a paused batch go on, if what has stopped it is over"),
    }
    for word, (command, help_text) in summaries.items():
        each = subparsers.add_parser(word, parents=[common], help=help_text)
        each.add_argument("id", help="the batch's id, batch_…")
        each.set_defaults(command=command)
        if word == "results":
            each.add_argument("--output", metavar="DIR", type=Path, help="write output and error file to this folder")
        if word in ("show", "resume"):
            each.add_argument("--wait", action="store_true", help="show its progress until it has ended")


def _add_submit(commands: Subparsers, common: argparse.ArgumentParser) -> None:
    submit = commands.add_parser("submit", parents=[common], help="upload a file of requests, and start a batch")
    submit.add_argument("file", metavar="FILE", type=Path, help="JSON lines in the form of OpenAI's batch API")
    submit.add_argument("--wait", action="store_true", help="show its progress until it has ended")
    endpoint = "/v1/chat/completions"
    submit.add_argument("--endpoint", default=endpoint, help=f"the path that its lines name; default: {endpoint}")
    submit.add_argument("--window", default="24h", help="the time for all lines, from 1h to 7d; default: 24h")
    submit.add_argument(
        "--metadata", metavar="NAME=VALUE", type=_parse_metadata, action="append", default=[], help="may be repeated"
    )
    submit.add_argument("--output", metavar="DIR", type=Path, help="wait, and write output and error file to a folder")
    submit.set_defaults(command=submit_batch)


def run(
    options: argparse.Namespace,
    env: Mapping[str, str] = os.environ,
    transport: httpx.BaseTransport | None = None,
    display: Display | None = None,
) -> int:
    """Run the command, and return its exit code. Errors are one line on standard error."""
    display = display or Display(quiet=options.json)
    try:
        with BatchClient(find_server(options, env), transport) as client:
            return options.command(options, client, display)
    except TidegateError as error:
        display.end_line()
        print(f"tidegate: {error.message}", file=sys.stderr)
        return FAILED


def submit_batch(options: argparse.Namespace, client: BatchClient, display: Display) -> int:
    """Upload the file and create the batch; with `--wait` or `--output`, follow it to its end."""
    _check_folder(options.output)
    file_id = upload(client, options.file, display.show_upload)
    body: dict[str, object] = {
        "input_file_id": file_id,
        "endpoint": options.endpoint,
        "completion_window": options.window,
    }
    if options.metadata:
        body["metadata"] = dict(options.metadata)
    batch = client.create_batch(body)
    batch_id = str(batch.get("id"))
    display.say(f"{batch_id} was created from {options.file}.")
    if not (options.wait or options.output):
        display.say(f"To follow it: tidegate batch show {batch_id} --wait")
        return _print_batch(options, batch, ANSWERED)
    return _follow(options, client, display, batch_id, options.output, options.file.stem)


def list_batches(options: argparse.Namespace, client: BatchClient, display: Display) -> int:
    """Print a page of batches."""
    page = client.batches(options.limit, options.after)
    items = page.get("data")
    batches = [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
    rows = [_row(each) for each in batches]
    text = columns(("ID", "CREATED", "STATUS", "LINES", "DONE", "FAILED", "COST USD"), rows)
    if page.get("has_more") and batches:
        text += f"\n\nThere are more: add --after {batches[-1].get('id')}"
    CommandOutput(page, text).show(options.json)
    return ANSWERED


def show_batch(options: argparse.Namespace, client: BatchClient, display: Display) -> int:
    """Print a batch; with `--wait`, once it has ended."""
    if options.wait:
        return _follow(options, client, display, options.id, None, "")
    return _print_batch(options, client.batch(options.id), ANSWERED)


def cancel_batch(options: argparse.Namespace, client: BatchClient, display: Display) -> int:
    """Cancel a batch: its workers stop within minutes."""
    return _print_batch(options, client.cancel(options.id), ANSWERED)


def resume_batch(options: argparse.Namespace, client: BatchClient, display: Display) -> int:
    """Let a paused batch go on."""
    batch = client.resume(options.id)
    if options.wait:
        return _follow(options, client, display, options.id, None, "")
    return _print_batch(options, batch, ANSWERED)


def fetch_results(options: argparse.Namespace, client: BatchClient, display: Display) -> int:
    """Write the results to a folder, or the answers to standard output and the errors to standard error."""
    _check_folder(options.output)
    batch = client.batch(options.id)
    if batch.get("status") not in TERMINAL_STATUSES:
        raise ConfigurationError(
            f"{options.id} is {batch.get('status')}: its results are there when it has ended. "
            f"To wait: tidegate batch show {options.id} --wait"
        )
    if options.output is None and not options.json:
        for name, stream in ((_OUTPUT, sys.stdout.buffer), (_ERRORS, sys.stderr.buffer)):
            if (file_id := _file_id(batch, name)) is not None:
                client.download(file_id, stream)
            stream.flush()
        return _exit_code(batch)
    if options.output is not None:
        _write_results(client, display, batch, options.output, options.id)
    return _print_batch(options, batch, _exit_code(batch))


def _follow(
    options: argparse.Namespace,
    client: BatchClient,
    display: Display,
    batch_id: str,
    folder: Path | None,
    stem: str,
) -> int:
    """Show the progress of a batch until it has ended, then write its results and print it."""
    try:
        batch = Watch(client, display).until_ended(batch_id)
    except KeyboardInterrupt:
        display.say(
            f"{batch_id} goes on without this command. To follow it: tidegate batch show {batch_id} --wait. "
            f"To end it: tidegate batch cancel {batch_id}"
        )
        return INTERRUPTED
    display.end_line()
    if folder is not None:
        _write_results(client, display, batch, folder, stem)
    return _print_batch(options, batch, _exit_code(batch))


def _write_results(client: BatchClient, display: Display, batch: JsonObject, folder: Path, stem: str) -> None:
    """Write `<stem>.output.jsonl` and `<stem>.errors.jsonl`, as far as the batch has them."""
    for name in (_OUTPUT, _ERRORS):
        file_id = _file_id(batch, name)
        if file_id is None:
            continue
        path = folder / f"{stem}.{name}.jsonl"
        temporary = path.with_name(path.name + ".part")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                size = client.download(file_id, file)
            temporary.replace(path)
        except OSError as error:
            raise ConfigurationError(f"Cannot write {path}: {error.strerror}.") from None
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        display.say(f"{path}: {size:,} bytes")


def _check_folder(folder: Path | None) -> None:
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder: name one with --output.")


def _file_id(batch: JsonObject, name: str) -> str | None:
    file_id = batch.get("output_file_id" if name == _OUTPUT else "error_file_id")
    return file_id if isinstance(file_id, str) else None


def _exit_code(batch: JsonObject) -> int:
    if batch.get("status") == "failed":
        return FAILED
    progress = parse_progress(batch)
    return ANSWERED if progress.status == "completed" and progress.completed == progress.total else SOME_FAILED


def _print_batch(options: argparse.Namespace, batch: JsonObject, code: int) -> int:
    """Print the batch, and return `code`."""
    progress = parse_progress(batch)
    values: list[tuple[str, object]] = [
        ("id", batch.get("id")),
        ("status", batch.get("status")),
        *([("paused", progress.pause)] if progress.pause else []),
        ("created", _time(batch.get("created_at"))),
        ("expires", _time(batch.get("expires_at"))),
        ("lines", f"{progress.total:,} ({progress.completed:,} completed, {progress.failed:,} failed)"),
        ("tokens", f"{progress.tokens:,}"),
        ("cost usd", progress.cost_usd),
        ("input file", batch.get("input_file_id")),
        ("output file", batch.get("output_file_id")),
        ("error file", batch.get("error_file_id")),
        *(("error", text) for text in _faults(batch)),
    ]
    CommandOutput(batch, pairs(values)).show(options.json)
    return code


def _faults(batch: JsonObject) -> list[str]:
    """Why the batch failed, in one line each."""
    match batch.get("errors"):
        case {"data": list(faults)}:
            return [_fault(each) for each in faults if isinstance(each, dict)]
        case _:
            return []


def _fault(fault: JsonObject) -> str:
    line = fault.get("line")
    return f"{f'line {line}: ' if line else ''}{fault.get('message')} ({fault.get('code')})"


def _row(batch: JsonObject) -> tuple[object, ...]:
    progress = parse_progress(batch)
    status = f"{progress.status}, paused" if progress.pause else progress.status
    numbers = (progress.total, progress.completed, progress.failed)
    return (batch.get("id"), _time(batch.get("created_at")), status, *numbers, progress.cost_usd)


def _time(seconds: Json) -> str | None:
    return iso_time(float(seconds)) if isinstance(seconds, int | float) else None


def _parse_metadata(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"([^=]{1,64})=(.{0,512})", text, re.DOTALL)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid: write NAME=VALUE, with at most 64 and 512 characters")
    return match[1], match[2]
