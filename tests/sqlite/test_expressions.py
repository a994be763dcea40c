"""SQLite's table decides and changes what an emulator of DynamoDB does, for conditions and updates of any form."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store_worlds import World, aws_world
from tidegate.aws.expressions import Attr, Condition, Put, Update, UpdateExpression
from tidegate.aws.store import ConditionFailed, ItemKey, Store
from tidegate.errors import StoreUnavailable
from tidegate.sqlite.conditions import compile_condition
from tidegate.sqlite.updates import apply_update

NUMBERS = st.integers(-3, 3) | st.sampled_from([Decimal("0.5"), Decimal("1.50"), 10**20])
TEXTS = st.sampled_from(["", "a", "ab", "b", "é", "\U0001f30a"])
NAMES = {"number": ["calls", "usd#M#1"], "text": ["size", "s.b"]}
"""Attributes by their type: the emulator fails where DynamoDB compares values of two types."""

INNER = st.dictionaries(st.sampled_from(NAMES["number"]), NUMBERS, max_size=2)
ITEMS = st.fixed_dictionaries(
    {"holds": INNER},
    optional={**dict.fromkeys(NAMES["number"], NUMBERS), **dict.fromkeys(NAMES["text"], TEXTS), "flag": st.booleans()},
)
NUMERIC = st.sampled_from(NAMES["number"]).flatmap(lambda name: st.sampled_from([Attr(name), Attr("holds", name)]))
TEXTUAL = st.sampled_from(NAMES["text"]).map(Attr)
ANY = NUMERIC | TEXTUAL | st.sampled_from([Attr("flag"), Attr("holds")])
COMPARISONS = ("equals", "lt", "lte", "gt", "gte")


def compared(attributes: st.SearchStrategy[Attr], values: st.SearchStrategy[Any]) -> st.SearchStrategy[Condition]:
    return st.builds(
        lambda name, attribute, value: getattr(attribute, name)(value), st.sampled_from(COMPARISONS), attributes, values
    )


CONDITIONS = st.recursive(
    st.one_of(
        compared(NUMERIC, NUMBERS),
        compared(TEXTUAL, TEXTS),
        st.builds(lambda attribute, low, high: attribute.between(low, high), NUMERIC, st.just(-2), st.integers(-1, 3)),
        st.builds(lambda attribute: attribute.exists(), ANY),
        st.builds(lambda attribute: attribute.does_not_exist(), ANY),
        st.builds(lambda attribute, prefix: attribute.begins_with(prefix), TEXTUAL, st.sampled_from(["a", "é"])),
        st.builds(lambda size: Attr("holds").size().lt(size), st.integers(0, 3)),
        st.builds(lambda value: Attr("holds").equals(value), INNER),
    ),
    lambda inner: st.builds(lambda a, b: a & b, inner, inner) | st.builds(lambda a, b: a | b, inner, inner),
)


def one_each(changes: list[tuple[str, UpdateExpression]]) -> UpdateExpression:
    """DynamoDB refuses two changes of one attribute."""
    update = UpdateExpression()
    for change in dict(changes).values():
        update &= change
    return update


CHANGES = st.one_of(
    st.builds(lambda name, value: (name, Attr(name).set(value)), st.sampled_from(NAMES["number"]), NUMBERS),
    st.builds(lambda name, value: (name, Attr(name).set(value)), st.sampled_from(NAMES["text"]), TEXTS),
    st.builds(lambda name: (name, Attr(name).remove()), st.sampled_from([*NAMES["number"], *NAMES["text"]])),
    st.builds(lambda name, number: (name, Attr(name).add(number)), st.sampled_from(NAMES["number"]), NUMBERS),
    st.builds(lambda name, value: ("holds", Attr("holds", name).set(value)), st.sampled_from(NAMES["number"]), NUMBERS),
    st.builds(lambda name: ("holds", Attr("holds", name).remove()), st.sampled_from(NAMES["number"])),
)
UPDATES = st.lists(CHANGES, min_size=1, max_size=4).map(one_each)


@pytest.fixture(scope="module")
def both(aws_endpoint: str, sqlite_endpoint: str) -> Iterator[tuple[asyncio.Runner, list[World]]]:
    contexts = [aws_world(aws_endpoint), aws_world(sqlite_endpoint)]
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        yield runner, [runner.run(context.__aenter__()) for context in contexts]
        for context in contexts:
            runner.run(context.__aexit__(None, None, None))


async def outcome_in(store: Store, item: Any, update: UpdateExpression, condition: Condition) -> object:
    """What becomes of the item, and how the write ends."""
    item_key = ItemKey("P", "S")
    await store.put(Put(store.table, {**item_key._asdict(), **item}))
    try:
        await store.update(Update(store.table, item_key._asdict(), update, condition))
    except (ConditionFailed, StoreUnavailable) as error:
        return type(error), (await store.read(item_key))[item_key]
    return None, (await store.read(item_key))[item_key]


@settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(item=ITEMS, update=UPDATES, condition=CONDITIONS)
def test_a_conditional_update_ends_as_in_dynamodb(
    both: tuple[asyncio.Runner, list[World]], item: Any, update: UpdateExpression, condition: Condition
) -> None:
    runner, worlds = both
    stores = [world.store for world in worlds if world.store]
    expected, actual = (runner.run(outcome_in(store, item, update, condition)) for store in stores)
    assert actual == expected


@pytest.mark.parametrize("text", ["", "#a", "#a = ", "#a = :v AND", "(#a = :v", "#a IN (:v)", "NOT #a = :v", "#a ! :v"])
def test_a_condition_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="not supported"):
        compile_condition(text)


@pytest.mark.parametrize("text", ["SET", "SET #a", "SET #a = #b", "DELETE #a :v", "ADD #a", "SET #a = :v,"])
def test_an_update_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="not supported"):
        apply_update(text, {}, {"#a": "a"}, {":v": {"S": "v"}})


@pytest.mark.parametrize(
    ("attribute", "length"),
    [
        ({"S": "é"}, 2),
        ({"B": "AGE="}, 2),
        ({"M": {"a": {"N": "1"}}}, 1),
        ({"L": [{"N": "1"}] * 3}, 3),
        ({"N": "1"}, None),
    ],
)
def test_a_size_is_counted_as_dynamodb_counts(attribute: Any, length: int | None) -> None:
    is_equal = compile_condition("size(#a) = :v")({"a": attribute}, {"#a": "a"}, {":v": {"N": str(length or 1)}})
    assert is_equal is (length is not None)
    assert not compile_condition("size(#a) = :v")({}, {"#a": "a"}, {":v": {"N": "0"}})
    assert compile_condition("#a <> :v")({}, {"#a": "a"}, {":v": {"N": "0"}})
