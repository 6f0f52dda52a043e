"""Whether a line lives: OPTIONS to each of its servers, and the events that tell when it starts and stops taking calls.

`Lines` runs one `LinePings` for each line. What the pings find goes to the line's `server`, which keeps the hysteresis;
`LineUsability` compares `Line.unusable_reason`, which weighs registration and health together, with what was told last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from trunkline.events import Event, LineDown, LineUp
from trunkline.server.line import Line
from trunkline.server.line_states import LineState
from trunkline.sip.capabilities import SDP
from trunkline.sip.endpoint import Driver, Endpoint, Flow, NameAddr, Uri
from trunkline.sip.request import ClientRequest, Failure
from trunkline.sip.shown import shown_flow

__all__ = ["LinePings", "LineUsability", "options_of", "problem_of"]

PING_TIMEOUT_S = 5.0
"""How long a server has to answer OPTIONS."""

IDLE_S = 30.0
"""How often a line without pings is looked at: doubts and pauses of its servers end by themselves."""

HURRY = 4.0
"""So much faster are pings while they speak against where a server stands."""

NOT_ALIVE = (408, 503)
"""The answers to OPTIONS that are as good as none; every other shows that a server lives."""


def problem_of(failure: Failure) -> str:
    """What a failed OPTIONS says against a server, in words; "" when its answer shows that it lives."""
    if failure.heard:
        return f"it answers OPTIONS with {failure.status} {failure.reason}" if failure.status in NOT_ALIVE else ""
    return "no answer to OPTIONS" if failure.status == 408 else f"it cannot be reached: {failure.reason}"


class LinePings:
    """Pings the servers of one line.

    Args:
        line: Which.
        endpoint: Sends.
        contact: Our Contact value for requests over a flow.
        random: The source of jitter.
    """

    def __init__(self, line: Line, endpoint: Endpoint, contact: Callable[[Flow], str], random: Random) -> None:
        self._line = line
        self._endpoint = endpoint
        self._contact = contact
        self._random = random
        self._tag = endpoint.driver.mint_tag()

    async def run(self) -> None:
        """Ping until it is cancelled."""
        interval_s = self._line.settings.ping_interval_s
        # lines of one provider that were added together do not ping together
        await asyncio.sleep((interval_s or IDLE_S) * (1 + self._random.random()) / 2)
        while True:
            if interval_s:
                await asyncio.gather(*(self._ping(flow) for flow in self._line.server.flows))
            self._line.server.reconsider()
            await asyncio.sleep(self._pause_s(interval_s))

    def _pause_s(self, interval_s: float) -> float:
        if not interval_s:
            return IDLE_S
        pause_s = interval_s / HURRY if self._line.server.unsettled else interval_s
        return pause_s * (0.9 + 0.2 * self._random.random())

    def _ping(self, flow: Flow) -> asyncio.Future[None]:
        """Ask one server; done when it has answered or not."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle(problem: str, heard: bool, pause_s: float | None = None) -> None:
            if not done.done():
                done.set_result(None)
                self._line.server.note_ping(flow, problem, heard=heard, retry_after_s=pause_s)

        def failed(failure: Failure) -> None:
            message = failure.message
            paused = message if failure.status == 503 else None
            settle(problem_of(failure), message is not None, paused.retry_after_s if paused is not None else None)

        ClientRequest(
            self._endpoint,
            "OPTIONS",
            lambda: options_of(self._line, self._endpoint.driver, self._tag, self._contact(flow)),
            flow,
            on_response=lambda message, _: settle("", True) if message.status >= 200 else None,
            on_failure=failed,
            timeout_s=min(self._line.settings.ping_interval_s, PING_TIMEOUT_S),
        ).start()
        return done


def options_of(line: Line, driver: Driver, tag: str, contact: str) -> tuple[str, list[tuple[str, str]]]:
    """An OPTIONS that asks a line's provider whether it lives and what it can: Request-URI and headers.

    Args:
        line: Whose.
        driver: Mints the Call-ID.
        tag: Of its From.
        contact: Our Contact value for it.
    """
    settings = line.settings
    account = Uri("sip", settings.username, settings.aor_domain)
    return str(Uri("sip", None, settings.aor_domain, settings.domain_port)), [
        *line.proxy_routes,
        ("From", str(NameAddr(account, None, [("tag", tag)]))),
        ("To", f"<{Uri('sip', None, settings.aor_domain)}>"),
        ("Call-ID", driver.mint_call_id()),
        ("CSeq", "1 OPTIONS"),
        ("Contact", contact),
        ("Accept", SDP),
    ]


class LineUsability:
    """Tells when a line stops taking calls, and when it takes them again; not what the application itself did.

    Args:
        line: Which.
        emit: Takes `LineDown` and `LineUp`; never raises.
    """

    def __init__(self, line: Line, emit: Callable[[Event], None]) -> None:
        self._line = line
        self._emit = emit
        self._usable: bool | None = None
        self._server_was_down = False

    def check(self) -> None:
        """Compare, and tell a change."""
        if self._line.settings.register and self._line.state in (LineState.OFF, LineState.LEAVING):
            self._usable = None
            return
        reason = self._line.unusable_reason
        if reason and self._usable:
            self._usable = False
            self._server_was_down = reason == self._line.server.down_reason
            self._emit(LineDown(self._line.name, reason))
        elif not reason and self._usable is False:
            self._usable = True
            self._emit(LineUp(self._line.name, self._better()))
        elif not reason:
            self._usable = True

    def _better(self) -> str:
        flow = self._line.server.flow
        if self._server_was_down and flow is not None:
            return f"{shown_flow(flow)} answers again"
        return "it is registered again"
