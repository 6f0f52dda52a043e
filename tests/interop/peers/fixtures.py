"""The types of conftest.py's fixtures, for the signatures of tests.

They stand here because a test cannot import a conftest.py reliably: there is more than one of that name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from peers import baresip, linphone, sipp
from peers.capture import Capture
from peers.kamailio import Edge, Kamailio, ProviderSettings
from peers.mobile import Mobile
from peers.namespace import Namespace
from peers.pbx import Pbx, Route, route
from peers.scene import Scene


class MakeNamespace(Protocol):
    """Makes a namespace; arguments as for `peers.namespace.namespace`."""

    def __call__(
        self,
        *,
        nat: bool = False,
        forwards: bool = False,
        uplink: Namespace | None = None,
        nat_idle_s: int | None = None,
    ) -> Namespace: ...


class StartCapture(Protocol):
    """Listens to a namespace's traffic."""

    def __call__(self, inside: Namespace) -> Capture: ...


class StartProvider(Protocol):
    """Starts Kamailio, in a namespace that forwards between its uplinks when none is given."""

    def __call__(self, settings: ProviderSettings, inside: Namespace | None = None) -> Kamailio: ...


class StartEdge(Protocol):
    """Starts Kamailio as an edge proxy before a provider, in its namespace."""

    def __call__(self, provider: Kamailio) -> Edge: ...


class StartBaresip(Protocol):
    """Starts baresip, in a namespace of its own (of `uplink` or the host) when none is given; it plays a tone, or a file."""

    def __call__(
        self,
        account: baresip.Account,
        tone_hz: float,
        inside: Namespace | None = None,
        *,
        uplink: Namespace | None = None,
        sip_port: int = 5060,
        plays: Path | None = None,
    ) -> baresip.Baresip: ...


class StartLinphone(Protocol):
    """Starts linphonec, in a namespace of its own (of `uplink` or the host) when none is given; it plays a tone."""

    def __call__(
        self,
        account: linphone.Account,
        tone_hz: float,
        inside: Namespace | None = None,
        *,
        uplink: Namespace | None = None,
        sip_port: int = 5060,
    ) -> linphone.Linphone: ...


class MakeSipp(Protocol):
    """Makes a party that SIPp plays, in a namespace of its own (of `uplink` or the host) when none is given."""

    def __call__(
        self,
        account: sipp.Account,
        inside: Namespace | None = None,
        *,
        uplink: Namespace | None = None,
        port: int = 5060,
        transport: str = "udp",
    ) -> sipp.Sipp: ...


class StartPbx(Protocol):
    """Starts the server under test; options as for `SipServer`."""

    def __call__(self, decide: Route = route, **options: Any) -> Pbx: ...


class StartMobile(Protocol):
    """Starts a mobile phone of the test kit behind a provider that runs, or will run, in a namespace."""

    def __call__(self, inside: Namespace, tone_hz: float = 1000.0) -> Mobile: ...


class StartSite(Protocol):
    """Starts the server under test and a site around it; options as for `SipServer`."""

    def __call__(self, decide: Route = route, **options: Any) -> Scene: ...
