import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tidegate.chat import guardrail_texts as texts
from tidegate.chat.parse import find_plain_body
from tidegate.domain.operation import Text
from tidegate.policy.guardrails.detectors import LONG_CHARACTERS, search_size

BODY: dict[str, Any] = {
    "model": "m",
    "user": "jane@example.com",
    "messages": [
        {"role": "system", "content": "one"},
        {
            "role": "user",
            "name": "jane",
            "content": [
                {"type": "text", "text": "two"},
                {"type": "image_url", "image_url": {"url": "https://example.com/?q=no"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "three"}},
                {"type": "document", "source": {"type": "base64", "data": "bm8="}, "title": "four"},
                {"type": "file", "file": {"file_data": "no", "filename": "five"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "reasoning": "six",
            "reasoning_details": [{"type": "reasoning.text", "text": "seven", "signature": "no"}],
            "tool_calls": [
                {
                    "id": "no",
                    "type": "function",
                    "function": {"name": "no", "arguments": '{"eight":["nine",1],"x":true}'},
                },
                {"id": "no", "type": "custom", "custom": {"name": "no", "input": "ten"}},
            ],
        },
        {"role": "tool", "tool_call_id": "no", "content": "eleven"},
        {
            "role": "assistant",
            "content": "",
            "refusal": "twelve",
            "function_call": {"name": "no", "arguments": "{thir"},
        },
    ],
    "fallbacks": [{"model": "other", "messages": [{"role": "user", "content": "fourteen"}]}, "another"],
    "tools": [
        {"type": "function", "function": {"name": "no", "description": "fifteen", "parameters": {"title": "sixteen"}}}
    ],
}
"""Each text that is read is a number."""

READ = [
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "1", "x", "ten", "eleven", "twelve"),
    *("{thir", "fourteen", "fifteen", "sixteen"),
]


FIXED = [
    *("jane", "https://example.com/?q=no", "bm8=", "no", "no", "no", "no", "no", "no", "no", "no", "no"),
]


def test_every_text_that_a_provider_gets_is_found_and_may_change_or_not() -> None:
    found = texts.body_texts(BODY)
    assert [each.text for each in found if each.kind == "plain"] == ["jane@example.com", *READ]
    assert [each.text for each in found if each.kind == "fixed"] == FIXED
    assert [each.text for each in found if each.kind == "encoded"] == []


def test_encoded_bytes_are_no_text_where_the_dialect_has_them_and_only_there() -> None:
    data = "iVBORw0KGgo" * 30
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}", "detail": data}}
    body: Any = {"messages": [{"role": "user", "name": data, "content": [part]}]}
    kinds = {each.path: each.kind for each in texts.body_texts(body)}
    assert kinds == {
        "messages[0].name": "fixed",
        "messages[0].content[0].image_url.url": "encoded",
        "messages[0].content[0].image_url.detail": "fixed",
    }
    for url in (
        "data:text/plain,Seahorse",
        "https://example.com/Seahorse",
        "data:text/plain;base64," + "Sea horse" * 40,
    ):
        part["image_url"] = {"url": url}
        assert [(each.text, each.kind) for each in texts.body_texts(body)][1:] == [(url, "fixed")]


def test_each_text_has_its_path_and_role() -> None:
    found = {each.text: (each.path, each.role) for each in texts.body_texts(BODY)}
    assert found["two"] == ("messages[1].content[0].text", "user")
    assert found["nine"] == ("messages[2].tool_calls[0].function.arguments", "assistant")
    assert found["fourteen"] == ("fallbacks[0].messages[0].content", "user")
    assert found["fifteen"] == ("tools[0].function.description", "")


def test_the_same_texts_leave_the_request_as_it_was() -> None:
    assert texts.with_body_texts(BODY, [each.text for each in texts.body_texts(BODY)]) == BODY


def test_other_texts_take_their_places_and_the_request_is_not_changed() -> None:
    before = json.dumps(BODY)
    found = texts.body_texts(BODY)
    changed = texts.with_body_texts(BODY, [each.text.upper() for each in found])
    assert json.dumps(BODY) == before
    assert changed["messages"][0] == {"role": "system", "content": "ONE"}
    assert changed["messages"][2]["reasoning_details"] == []
    called = changed["messages"][2]["tool_calls"][0]["function"]
    assert called == {"name": "no", "arguments": '{"EIGHT":["NINE",1],"X":true}'}
    assert (changed["user"], changed["model"]) == ("JANE@EXAMPLE.COM", "m")
    assert changed["messages"][1]["name"] == "jane"


def test_a_number_in_arguments_that_is_masked_becomes_a_text() -> None:
    arguments = '{"card":4111111111111111,"ok":true}'
    assert [each.text for each in texts.argument_texts(arguments)] == ["card", "4111111111111111", "ok"]
    assert texts.with_argument_texts(arguments, ["card", "[CARD]", "ok"]) == '{"card":"[CARD]","ok":true}'


def test_arguments_whose_json_hides_a_text_are_read_as_what_they_say() -> None:
    assert [each.text for each in texts.argument_texts(r'{"a":"jane\u0040example.com"}')] == ["a", "jane@example.com"]


COMPLETION: Any = {
    "object": "chat.completion",
    "system_fingerprint": None,
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "logprobs": {"content": []},
            "message": {
                "role": "assistant",
                "content": "one",
                "refusal": None,
                "reasoning": "two",
                "reasoning_content": "three",
                "reasoning_details": [{"type": "reasoning.text", "text": "four"}, {"type": "x", "data": "no"}],
                "annotations": [
                    {"type": "url_citation", "url_citation": {"url": "https://no.example", "title": "five"}}
                ],
                "audio": {"id": "no", "data": "no", "transcript": "six"},
            },
        },
        {
            "index": 1,
            "finish_reason": "stop",
            "logprobs": {"content": []},
            "message": {"role": "assistant", "content": "seven", "refusal": None},
        },
    ],
}


def test_every_text_of_an_answer_is_found() -> None:
    found = [each.text for each in texts.completion_texts(COMPLETION)]
    assert found == ["one", "two", "three", "four", "five", "six", "seven"]
    assert texts.with_completion_texts(COMPLETION, found) == COMPLETION


def test_what_cannot_be_masked_in_an_answer_is_left_out() -> None:
    changed: Any = texts.with_completion_texts(COMPLETION, ["one", "two", "three", "4", "five", "6", "seven"])
    message = changed["choices"][0]["message"]
    assert (message["reasoning_details"], message["audio"]) == ([{"type": "x", "data": "no"}], None)
    assert [choice["logprobs"] for choice in changed["choices"]] == [None, {"content": []}]


def test_many_short_texts_are_long_as_well() -> None:
    sizes = map(search_size, (["a"], ["a"] * 1_000, ["a" * LONG_CHARACTERS]))
    assert [size > LONG_CHARACTERS for size in sizes] == [False, True, True]


_NAMES = st.sampled_from(["role", "content", "name", "refusal", "reasoning", "title", "new"])
_VALUES: Any = st.one_of(
    st.none(), st.booleans(), st.integers(-2_000_000, 2_000_000), st.floats(-2e6, 2e6), st.just([]), st.just({})
)
_TEXTS = st.sampled_from(["", "one", "user", "system", "tool", "auto"])
_MESSAGES = st.dictionaries(_NAMES, _TEXTS | _VALUES | st.lists(st.fixed_dictionaries({"text": _TEXTS})), max_size=3)
_PLAIN = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool", ""]), "content": _TEXTS})
_FIELDS = st.sampled_from(["temperature", "model", "user", "fallbacks", "caching", "n", "stop", "new_field", "seed"])


def searchable(found: list[Text]) -> list[str]:
    return [each.text for each in found if each.kind != "encoded"]


@given(st.lists(_PLAIN | _MESSAGES, max_size=3), st.dictionaries(_FIELDS, _VALUES | _TEXTS, max_size=3))
def test_plain_requests_have_the_texts_that_a_whole_walk_finds(messages: Any, fields: Any) -> None:
    body = {"messages": messages, **fields}
    walked = texts._collect(lambda visit: texts._walk_body(body, visit))
    assert texts.body_texts(body) == walked
    assert list(filter(None, texts.searched_body_texts(body))) == searchable(walked)


@given(st.lists(_PLAIN | _MESSAGES, max_size=3), st.dictionaries(_FIELDS, _VALUES | _TEXTS, max_size=3))
@example([{"role": "user", "content": "one"}], {"max_tokens": 1_000_000})
@example([{"role": "user", "content": "one"}], {"stop": "one"})
@example([{"role": "user", "content": "one"}], {"seed": -1_000_000})
@example([{"role": "user", "content": "one"}], {"stream_options": {"hurricane": True}})
def test_requests_known_to_be_plain_have_the_texts_that_a_whole_walk_finds(messages: Any, fields: Any) -> None:
    body = {"model": "m", "messages": messages, **fields}
    if find_plain_body(body) is not None:
        walked = texts._collect(lambda visit: texts._walk_body(body, visit))
        assert list(filter(None, texts.searched_body_texts(body, is_plain=True))) == searchable(walked)


@given(st.lists(_PLAIN | _MESSAGES, max_size=3))
def test_plain_completions_have_the_texts_that_a_whole_walk_finds(messages: Any) -> None:
    completion: Any = {"choices": [{"message": message} for message in messages]}
    walked = texts._collect(lambda visit: texts._walk_completion(completion, visit))
    assert texts.completion_texts(completion) == walked
    assert list(filter(None, texts.searched_completion_texts(completion))) == searchable(walked)


def test_a_plain_call_is_not_walked() -> None:
    messages = [{"role": "system", "content": "one"}, {"role": "user", "content": "two"}]
    body: Any = {"model": "m", "messages": messages, "temperature": 0.5, "max_tokens": 100, "stream": True}
    assert texts._plain_messages(body) == texts._plain_messages(body, is_plain=True) == messages
    message = {"role": "assistant", "content": "three", "refusal": None, "annotations": []}
    completion: Any = {"choices": [{"message": message}]}
    assert texts._plain_answers(completion) == ["three"]
