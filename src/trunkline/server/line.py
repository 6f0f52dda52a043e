"""A line as it lives: everything about an account at a provider in one object.

`lines` makes it; `line_registration` moves its state, `routing` asks whether it can take a call, `identify` finds it by
its token. The application reads it; nothing outside the server writes to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from trunkline.calls.peers import Party
from trunkline.constants import PeerType
from trunkline.server.line_answers import LineFailure
from trunkline.server.line_outbound import proxy_route, routes
from trunkline.server.line_server import LineServer
from trunkline.server.line_settings import LineSettings
from trunkline.server.line_states import Happening, LineState
from trunkline.sip.authenticate import ClientCredentials
from trunkline.sip.endpoint import Flow
from trunkline.sip.session_timer import SessionTimes

__all__ = ["Line", "LineState", "LineStatistics"]


@dataclass(slots=True)
class LineStatistics:
    """Counts since the line was added."""

    registers_sent: int = 0
    """REGISTER requests, answers to challenges not counted."""
    registrations: int = 0
    """Of those, granted."""
    failures: int = 0
    """Of those, refused, failed or unanswered."""
    calls_in: int = 0
    calls_out: int = 0


class Line:
    """An account at a provider.

    Args:
        settings: What is configured.
        token: What ties requests of the provider to this line.
        server: Where the provider is.
        clock: The loop's.
    """

    def __init__(self, settings: LineSettings, token: str, server: LineServer, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.token = token
        self.server = server
        self._clock = clock
        self.state = LineState.OFF
        self.last_failure: LineFailure | None = None
        """Why the last REGISTER failed; None once one succeeded."""
        self.registered_until: float | None = None
        """On the loop's clock: until when the provider knows us."""
        self.next_attempt_at: float | None = None
        """On the loop's clock: when the next REGISTER goes out."""
        self.service_route: tuple[str, ...] = ()
        """The Service-Route of the last registration (RFC 3608)."""
        self._proxy = proxy_route(settings)
        self._statistics = LineStatistics()
        self._party: Party | None = None

    def __repr__(self) -> str:
        return f"<Line {self.name} {self.state.value}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self.settings.name

    @property
    def server_in_use(self) -> Flow | None:
        """The address of the provider that requests go to; None before the name was resolved."""
        return self.server.flow

    @property
    def next_attempt_in_s(self) -> float | None:
        """Seconds until the next REGISTER goes out; None when none is due."""
        return None if self.next_attempt_at is None else max(0.0, self.next_attempt_at - self._clock())

    @property
    def registered(self) -> bool:
        """Whether the provider knows us now."""
        return self.registered_until is not None and self._clock() < self.registered_until

    @property
    def usable(self) -> bool:
        """Whether calls can be placed over it now."""
        return not self.unusable_reason

    @property
    def unusable_reason(self) -> str:
        """Why no call can be placed over it, in words; "" when one can. Registration and health decide together."""
        if not self.settings.register:
            return self.server.down_reason
        if self.state is LineState.OFF or self.state is LineState.LEAVING:
            return "it is not registered"
        failure = self.last_failure
        if failure is None:
            return self.server.down_reason if self.registered else "it is being registered"
        # A registration that the provider still holds survives its busy answer, not its silence and not its refusal.
        if self.registered and failure.status and failure.kind is not Happening.REFUSED:
            return self.server.down_reason
        return failure.reason

    @property
    def proxy_routes(self) -> list[tuple[str, str]]:
        """The Route of every request outside a dialog: the outbound proxy, where it is to be named."""
        return routes(self._proxy, ())

    @property
    def routes(self) -> list[tuple[str, str]]:
        """The Route header fields of a call: the outbound proxy, then what the registrar asked for (RFC 3608)."""
        return routes(self._proxy, self.service_route)

    @property
    def statistics(self) -> LineStatistics:
        """Counts up to now; a copy."""
        return replace(self._statistics)

    @property
    def counters(self) -> LineStatistics:
        """The counts themselves, for the parts of the server that count."""
        return self._statistics

    @property
    def credentials(self) -> ClientCredentials | None:
        """What answers the provider's challenges; None where no password is known."""
        if self.settings.password is None:
            return None
        return ClientCredentials(self.settings.auth_username or self.settings.username, self.settings.password)

    def party(self) -> Party:
        """The line as the peer of a call's channel."""
        if self._party is None:
            self._party = Party(
                PeerType.LINE,
                self.name,
                self.settings.codecs,
                credentials=self.credentials,
                media_timeout_s=self.settings.media_timeout_s,
                quality_alarm_mos=self.settings.quality_alarm_mos,
                accept_token=self.token,
                reliable=self.settings.reliable,
                srtp=self.settings.srtp,
                srtp_in_clear=self.settings.srtp_in_clear,
                follow_redirects=self.settings.follow_redirects,
                transfer=self.settings.transfer,
                music_on_hold=self.settings.music_on_hold,
                rtcp_mux=self.settings.rtcp_mux,
                large_over_tcp=self.settings.large_over_tcp,
                dtmf=self.settings.dtmf,
                timers=SessionTimes(self.settings.session_expires_s, self.settings.min_se_s),
            )
        return self._party
