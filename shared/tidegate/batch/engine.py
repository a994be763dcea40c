"""Takes the messages of the queue, and does the step that each names. Every step may be repeated at any time."""

from msgspec import Struct

from tidegate.batch.components import BatchComponents
from tidegate.batch.messages import Compose, Message, Notify, PollJobs, RunPart, Sweep, Validate
from tidegate.lazy import load


class Engine(Struct, frozen=True):
    """The batch engine of one process.

    await engine.handle(RunPart("ws_one", "batch_01", 7), deadline=time.time() + 800)
    """

    components: BatchComponents

    async def handle(self, message: Message, deadline: float) -> None:
        """Do the message's step, or leave the rest to another message before `deadline`, in UTC seconds.

        Raises `TryLater` if the message should come again, and `StoreUnavailable`.
        """
        match message:
            case Validate():
                validate_batch = load("tidegate.batch.validation", "validate_batch")
                await validate_batch(self.components, message.workspace_id, message.batch_id, deadline)
            case RunPart():
                await load("tidegate.batch.part_run", "run_part")(self.components, message, deadline)
            case Compose():
                compose_results = load("tidegate.batch.composition", "compose_results")
                await compose_results(self.components, message.workspace_id, message.batch_id, deadline)
            case Sweep():
                await load("tidegate.batch.sweep", "sweep_batches")(self.components, deadline)
            case PollJobs():
                await load("tidegate.batch.provider_jobs.poll", "poll_jobs")(self.components, message, deadline)
            case Notify():
                await load("tidegate.batch.webhook", "notify")(self.components, message)
            case _:
                raise NotImplementedError(type(message).__name__)
