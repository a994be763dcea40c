"""Calls as text for a terminal. What callers and providers have written never controls the terminal."""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from itertools import pairwise

from tidegate.cli.output import columns
from tidegate.json import Json, JsonObject

BAR_CELLS = 32


def printable(text: object) -> str:
    """Return text without what a terminal would obey; line breaks and tabs stay."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in str(text))


def one_line(text: object) -> str:
    """Return text in one line, without what a terminal would obey."""
    return " ".join(printable(text).split())


def usd(amount: object, missing: str = "no price") -> str:
    """Return an amount with a sign, with as many places as small amounts need."""
    if amount is None:
        return missing
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        return missing
    return f"${value:,.2f}" if abs(value) >= 100 or not value else f"${value:,.6f}"


def seconds(value: object) -> str:
    """Return a duration; a dash if it is not known."""
    return f"{value:.2f}s" if isinstance(value, int | float) else "–"


def count(value: object) -> str:
    """Return a number with separators; a dash if it is not known."""
    return f"{value:,}" if isinstance(value, int) else "–"


def model_of(record: Mapping[str, object]) -> str:
    """Return the model that answered, or the one requested if none did."""
    provider, model = record.get("provider"), record.get("answered_model")
    return one_line(f"{provider}/{model}" if provider and model else record.get("model"))


def call_line(record: Mapping[str, object]) -> str:
    """Return a call in one line: when it began, how it ended, its model, tokens, cost, time, error and id."""
    tokens = f"{count(record.get('input_tokens'))}>{count(record.get('output_tokens'))}"
    parts = [
        str(record.get("time"))[11:19],
        f"{record.get('status')}".ljust(9),
        model_of(record).ljust(28),
        tokens.rjust(13),
        usd(record.get("cost_usd")).rjust(11),
        seconds(record.get("seconds")).rjust(8),
        str(record.get("id")),
    ]
    names = (("", "error_code"), ("session ", "session_id"), ("app ", "app_id"))
    parts += [f"{label}{record[name]}" for label, name in names if record.get(name)]
    return printable("  ".join(parts)).replace("\n", " ").replace("\t", " ")


def timeline_text(events: Json) -> str:
    """Draw a timeline: each event with its time, what passed since the one before, and where that is in the whole."""
    listed = [each for each in events if isinstance(each, dict)] if isinstance(events, list) else []
    times = [float(str(each.get("at") or 0)) for each in listed]
    total = max(times, default=0.0) or 1.0
    rows: list[tuple[object, ...]] = []
    for event, (before, at) in zip(listed, pairwise([0.0, *times]), strict=True):
        begin, end = (round(each / total * BAR_CELLS) for each in (before, at))
        bar = (" " * begin + "=" * (end - begin) + "|").ljust(BAR_CELLS + 1)
        what = " ".join(str(event[name]) for name in ("detail", "deployment") if event.get(name))
        rows.append((f"{at:9.3f}", f"+{at - before:.3f}", bar, event.get("kind"), one_line(what)))
    return columns(("  SECONDS", "SINCE", "", "EVENT", ""), rows)


def cost_text(parts: Json) -> str:
    """Draw the cost by kind of token."""
    if not isinstance(parts, list):
        return "The model has no list price."
    rows = [
        (each.get("kind"), count(each.get("count")), f"${each.get('rate_usd')}", usd(each.get("cost_usd")))
        for each in parts
        if isinstance(each, dict)
    ]
    return columns(("KIND", "COUNT", "LIST PRICE", "COST"), rows)


def message_text(message: Json) -> str:
    """Return a message's text; parts that are not text by their type, tool calls by name and arguments."""
    match message:
        case {**fields}:
            content = _content_text(fields.get("content"))
            calls = fields.get("tool_calls")
            texts = [content, *(_tool_call_text(each) for each in calls)] if isinstance(calls, list) else [content]
            return "\n".join(text for text in texts if text)
        case _:
            return ""


def answer_text(answer: Json, error: Json) -> str:
    """Return the text of a whole reply, or its error."""
    match answer, error:
        case ({"choices": [{"message": message}, *_]}, _):
            return message_text(message)
        case (_, {"message": str(message), **rest}):
            return f"error {rest.get('code')}: {message}"
        case (str(text), _):
            return text
        case ({**fields}, _):
            return json.dumps(fields, ensure_ascii=False, indent=2)
        case _:
            return ""


def _content_text(content: Json) -> str:
    match content:
        case str():
            return content
        case list():
            return "\n".join(_part_text(part) for part in content)
        case _:
            return ""


def _part_text(part: Json) -> str:
    match part:
        case {"text": str(text)}:
            return text
        case {"type": str(kind)}:
            return f"[{kind}]"
        case _:
            return "[?]"


def _tool_call_text(call: Json) -> str:
    match call:
        case {"function": {"name": name, "arguments": arguments}}:
            return f"[tool call] {name}({arguments})"
        case _:
            return "[tool call]"


def object_of(value: Json) -> JsonObject:
    """Return an object, which is empty for another value."""
    return value if isinstance(value, dict) else {}
