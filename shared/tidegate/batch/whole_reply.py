"""The reply to a call that does not stream, as its surface writes it."""

from tidegate.domain.call import Call
from tidegate.gateway import Gateway
from tidegate.json import encode


async def whole_reply(gateway: Gateway, call: Call) -> bytes:
    """Return the body of the reply, which for a dry run is the resolved call. Raises `TidegateError`."""
    if call.request.options.dry_run:
        return encode(await gateway.dry_run(call))
    async with gateway.answer(call) as answer:
        # The call does not stream, so its answer is a whole reply.
        assert answer.reply is not None  # noqa: S101
        return call.surface.reply(answer.reply, call.request)
