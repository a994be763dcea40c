"""The origin of a request that its caller has sent in another dialect than the operation's inner one."""

from collections.abc import Callable, Mapping

from msgspec import Struct, structs

from tidegate.errors import InvalidRequest
from tidegate.json import Json, JsonObject

NATIVE = "native"
"""The key under which replies to native requests have what the provider sent: a whole reply its body, and a chunk the
events of the stream since the chunk before, as pairs of their type and data."""


class ConversationToStore(Struct, eq=False):
    """The conversation of a call that is stored, so that a later one can go on from it.

    `items` are those of its input, in the dialect of its origin. What encodes the reply sets `read_response`, which
    returns the reply as far as it is encoded, None before its beginning. `is_on` is False if nothing is kept here.
    A conversation is stored before its caller gets the end of the reply, since the next call reads it: `is_stored`.
    """

    items: list[Json]
    conversation_id: str | None = None
    is_on: bool = True
    is_stored: bool = False
    read_response: Callable[[], JsonObject | None] | None = None


class Origin(Struct, frozen=True):
    """A request as its caller sent it, in another dialect than the operation's inner one.

    `dialect` is "messages" (Anthropic's) or "responses" (OpenAI's). `body` is the object as sent, for a provider that
    speaks this dialect; it is None once the gateway has changed the request, for example masked its texts. `headers`
    go on to such a provider. `notes` is what the surface needs to encode the reply in the caller's terms.

    `ignored` are the paths that the translation cannot honour, `session_id` is the conversation as this dialect names
    it. `make_portable` makes the translated body one for providers that do not know the terms of this dialect, and
    returns it with the paths of what it leaves out. `refusals` are the paths of what no other provider than one of this
    dialect can answer, each with the reason. `add_lost_fields` adds to the translated body what the translation
    has lost, and a provider of this dialect would get: it is checked for prices and for what belongs to accounts.
    `conversation` is what is stored of the call; None if the caller wants nothing stored. `drop_sealed_reasoning`
    returns the body without reasoning that only the account which has encrypted it can read, and the paths of that.
    """

    dialect: str
    body: JsonObject | None
    headers: Mapping[str, str] = {}
    notes: object = None
    ignored: tuple[str, ...] = ()
    session_id: str | None = None
    make_portable: Callable[[JsonObject], tuple[JsonObject, tuple[str, ...]]] | None = None
    add_lost_fields: Callable[[JsonObject], JsonObject] | None = None
    conversation: ConversationToStore | None = None
    refusals: Mapping[str, str] = {}
    drop_sealed_reasoning: Callable[[JsonObject], tuple[JsonObject, tuple[str, ...]]] | None = None

    def check_translatable(self) -> None:
        """Raise `InvalidRequest` for the first of the refusals."""
        for path, reason in self.refusals.items():
            raise InvalidRequest(f"The model of this call cannot take {path}: {reason}.", param=path)

    def without_body(self) -> "Origin":
        """Return this origin for a request that has changed: it can only be translated from then on."""
        return structs.replace(self, body=None)


class NeedsState(InvalidRequest):
    """A request refers to something that is kept, which its surface cannot know. `raw` is its body.

    `state` has the fields that refer to it; `build` makes the request of a body with all items, these fields and the
    size in bytes. Where nothing is kept, the caller gets this error.
    """

    def __init__(
        self,
        message: str,
        param: str,
        raw: JsonObject,
        state: object,
        build: Callable[[JsonObject, object, int], object],
    ) -> None:
        super().__init__(message, param=param)
        self.raw, self.state, self.build = raw, state, build
