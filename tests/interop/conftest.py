"""Fixtures that start real SIP programs, each in a network namespace of the test's own, and stop them after the test.

Every fixture is a factory: `baresip(account, 440.0)` starts a phone. Namespaces hang on the host, where the server
under test binds (`peer.inside.host_address`), or on another namespace (`uplink=`), such as the provider's. On a
machine that lacks a program the test is skipped; with TRUNKLINE_REQUIRE_INTEROP=1 it fails. The drivers are in `peers`.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import audio, needs
from peers import baresip as baresip_driver
from peers import linphone as linphone_driver
from peers import sipp as sipp_driver
from peers.capture import Capture
from peers.fixtures import (
    MakeNamespace,
    MakeSipp,
    StartBaresip,
    StartCapture,
    StartEdge,
    StartLinphone,
    StartMobile,
    StartPbx,
    StartProvider,
    StartSite,
)
from peers.kamailio import Edge, Kamailio, ProviderSettings
from peers.mobile import Mobile
from peers.namespace import Namespace, namespace
from peers.pbx import REALM, Pbx, Route, route
from peers.scene import Scene

from trunkline.server.server import SipServer

PROVIDER_PORT = 5060
MOBILE_PORT = 5070
TONE_S = 30.0
STOP_TIMEOUT_S = 1.0


def _require(suite: str) -> None:
    why = needs.why_skipped(suite)
    if why and needs.is_required():
        pytest.fail(f"{needs.REQUIRED}=1, but {why}")
    if why:
        pytest.skip(why)


@pytest.fixture
def netns() -> Iterator[MakeNamespace]:
    _require("netns")
    with contextlib.ExitStack() as stack:

        def make(
            *,
            nat: bool = False,
            forwards: bool = False,
            uplink: Namespace | None = None,
            nat_idle_s: int | None = None,
        ) -> Namespace:
            made = namespace(nat=nat, forwards=forwards, uplink=uplink, nat_idle_s=nat_idle_s)
            return stack.enter_context(made)

        yield make


@pytest.fixture
def capture(netns: MakeNamespace) -> Iterator[StartCapture]:
    with contextlib.ExitStack() as stack:

        def start(inside: Namespace) -> Capture:
            started = Capture(inside)
            stack.callback(started.stop)
            return started

        yield start


@pytest.fixture
def kamailio(netns: MakeNamespace, tmp_path: Path) -> Iterator[StartProvider]:
    _require("kamailio")
    numbers = itertools.count(1)
    with contextlib.ExitStack() as stack:

        def start(settings: ProviderSettings, inside: Namespace | None = None) -> Kamailio:
            inside = inside or netns(forwards=True)
            folder = tmp_path / f"kamailio-{next(numbers)}"
            started = Kamailio(folder, inside.address, PROVIDER_PORT, MOBILE_PORT, settings, inside)
            stack.callback(started.stop)
            return started

        yield start


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[StartEdge]:
    with contextlib.ExitStack() as stack:

        def start(provider: Kamailio) -> Edge:
            if provider.settings.outbound:
                _require("outbound")
            started = Edge(tmp_path / f"edge-{provider.settings.edge_port}", provider)
            stack.callback(started.stop)
            return started

        yield start


@pytest.fixture
def baresip(netns: MakeNamespace, tmp_path: Path) -> Iterator[StartBaresip]:
    _require("baresip")
    numbers = itertools.count(1)
    with contextlib.ExitStack() as stack:

        def start(
            account: baresip_driver.Account,
            tone_hz: float,
            inside: Namespace | None = None,
            *,
            uplink: Namespace | None = None,
            sip_port: int = 5060,
            plays: Path | None = None,
        ) -> baresip_driver.Baresip:
            folder = tmp_path / f"baresip-{next(numbers)}-{account.user}"
            sound = plays or _tone(tmp_path, tone_hz)
            started = baresip_driver.Baresip(folder, inside or netns(uplink=uplink), account, sound, sip_port=sip_port)
            stack.callback(started.stop)
            return started

        yield start


@pytest.fixture
def linphone(netns: MakeNamespace, tmp_path: Path) -> Iterator[StartLinphone]:
    _require("linphone")
    numbers = itertools.count(1)
    with contextlib.ExitStack() as stack:

        def start(
            account: linphone_driver.Account,
            tone_hz: float,
            inside: Namespace | None = None,
            *,
            uplink: Namespace | None = None,
            sip_port: int = 5060,
        ) -> linphone_driver.Linphone:
            folder = tmp_path / f"linphone-{next(numbers)}-{account.user}"
            started = linphone_driver.Linphone(
                folder, inside or netns(uplink=uplink), account, _tone(tmp_path, tone_hz), sip_port=sip_port
            )
            stack.callback(started.stop)
            return started

        yield start


@pytest.fixture
def sipp(netns: MakeNamespace, tmp_path: Path) -> Iterator[MakeSipp]:
    _require("sipp")
    numbers = itertools.count(1)
    with contextlib.ExitStack() as stack:

        def make(
            account: sipp_driver.Account,
            inside: Namespace | None = None,
            *,
            uplink: Namespace | None = None,
            port: int = 5060,
            transport: str = "udp",
        ) -> sipp_driver.Sipp:
            folder = tmp_path / f"sipp-{next(numbers)}-{account.user}"
            made = sipp_driver.Sipp(folder, inside or netns(uplink=uplink), account, port=port, transport=transport)
            stack.callback(made.stop)
            return made

        yield make


@pytest.fixture
def pbx(
    netns: MakeNamespace,
    report_on: Callable[[SipServer], SipServer],
    request: pytest.FixtureRequest,
) -> Iterator[StartPbx]:
    with contextlib.ExitStack() as stack:

        def start(decide: Route = route, **options: Any) -> Pbx:
            settings: dict[str, Any] = {
                "realm": REALM,
                "listen": ["udp://0.0.0.0:0", "tcp://0.0.0.0:0"],
                "stop_timeout_s": STOP_TIMEOUT_S,
            }
            started = Pbx(report_on(SipServer(**(settings | options))), decide)
            # What a failed test leaves of its calls is no second failure.
            stack.callback(lambda: started.stop(judge=not _failed(request)))
            return started

        yield start


@pytest.fixture
def mobile(netns: MakeNamespace) -> Iterator[StartMobile]:
    with contextlib.ExitStack() as stack:

        def start(inside: Namespace, tone_hz: float = 1000.0) -> Mobile:
            started = Mobile(inside, tone_hz)
            stack.callback(started.stop)
            return started

        yield start


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> StartSite:
    def start(decide: Route = route, **options: Any) -> Scene:
        server: Pbx = request.getfixturevalue("pbx")(decide, **options)

        def end() -> None:
            scene.stop_phones()
            server.stop(judge=not _failed(request))

        def fixture(name: str) -> Any:
            value = request.getfixturevalue(name)
            # The last finalizer runs first: the phones leave while the server runs, and it while the provider does.
            request.node.addfinalizer(end)
            return value

        scene = Scene(fixture, server, tmp_path)
        request.node.addfinalizer(end)
        return scene

    return start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[_reports] = report
    return report


_reports = pytest.StashKey[pytest.TestReport]()


def _failed(request: pytest.FixtureRequest) -> bool:
    report = request.node.stash.get(_reports, None)
    return report is not None and report.failed


def _tone(folder: Path, frequency_hz: float) -> Path:
    path = folder / f"tone-{frequency_hz:g}.wav"
    return path if path.exists() else audio.write_tone(path, frequency_hz, TONE_S)
