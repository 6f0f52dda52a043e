"""Ends the calls that a killed process left, as soon as the next one runs: a BYE in each dialog that its journal holds.

`Running` starts it once, when the listeners are open. Their peers may still send audio to ports that nobody has any more; the BYE says why
(RFC 3326), challenges are answered with the line's credentials, and each row goes when its BYE is answered or given up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from trunkline.calls.failure import reason
from trunkline.server.journal import DialogStore, dialog_of
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.dialog import Dialog
from trunkline.sip.endpoint import Endpoint, Flow, Message
from trunkline.sip.request import ClientRequest, Failure
from trunkline.storage.records import DialogRecord

__all__ = ["Recovery"]

log = logging.getLogger("trunkline.recovery")

BATCH = 20
PAUSE_S = 0.05
"""Twenty BYEs every twentieth of a second: 10,000 dialogs in 25 s, and no provider takes it for a flood."""

GIVE_UP_S = 60.0
"""After this time from the start nothing of the last run is waited for or tried any more."""

RESTARTED = reason(503, "Server restarted")


class Recovery:
    """Ends what the last run left.

    Args:
        endpoint: Sends the BYEs.
        store: Where the dialogs are kept.
        listens: Whether a listener of ours serves a flow.
        credentials: Of a line, by its name.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        store: DialogStore,
        listens: Callable[[Flow], bool],
        credentials: Callable[[str], ClientCredentials | None],
    ) -> None:
        self._endpoint = endpoint
        self._store = store
        self._listens = listens
        self._credentials = credentials
        self._left: dict[tuple[str | int, ...], DialogRecord] = {}
        self._answered = 0
        self._task: asyncio.Task[None] | None = None
        self._all_done = asyncio.Event()

    def start(self, records: Sequence[DialogRecord]) -> None:
        """End these dialogs, the newest first: the longer ago one began, the sooner its peers have given it up."""
        if not records:
            return
        log.warning("the last run was killed: %d dialogs of its calls are ended", len(records))
        newest_first = sorted(records, key=lambda record: -record.connected_at)
        self._left = {record.key: record for record in newest_first}
        self._task = asyncio.get_running_loop().create_task(self._run(newest_first), name="end the last run's calls")

    async def close(self) -> None:
        """Stop; what is left stays written for the next start. Idempotent."""
        task, self._task = self._task, None
        self._left = {}
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def left(self) -> int:
        """Dialogs that are not ended yet."""
        return len(self._left)

    async def _run(self, records: Sequence[DialogRecord]) -> None:
        try:
            async with asyncio.timeout(GIVE_UP_S):
                for first in range(0, len(records), BATCH):
                    for record in records[first : first + BATCH]:
                        self._end(record)
                    await asyncio.sleep(PAUSE_S)
                await self._all_done.wait()
        except TimeoutError:
            for record in list(self._left.values()):
                self._over(record)
        log.info("of %d dialogs of the last run %d have answered BYE", len(records), self._answered)

    def _end(self, record: DialogRecord) -> None:
        try:
            dialog = dialog_of(record, self._listens)
            if dialog is None:
                log.info("no listener reaches %s any more", record.remote_target)
                self._over(record)
            else:
                self._bye(record, dialog)
        except ValueError as error:
            log.error("a dialog of the last run cannot be ended: %s", error)
            self._over(record)

    def _bye(self, record: DialogRecord, dialog: Dialog) -> None:
        def build() -> tuple[str, list[tuple[str, str]]]:
            uri, fields = dialog.request("BYE")
            return uri, [*fields, RESTARTED]

        def answered(message: Message, flow: Flow) -> None:
            if message.status >= 200:
                self._answered += 1
                self._over(record)

        def failed(failure: Failure) -> None:
            # 481 says that they have ended it already
            self._answered += failure.heard
            self._over(record)

        ClientRequest(
            self._endpoint,
            "BYE",
            build,
            dialog.flow,
            credentials=self._credentials(record.peer_name) if record.peer_type == "line" else None,
            on_response=answered,
            on_failure=failed,
        ).start()

    def _over(self, record: DialogRecord) -> None:
        if self._left.pop(record.key, None) is not None:
            self._store.delete(record)
            if not self._left:
                self._all_done.set()
