"""Fixtures that start real SIP programs, each in a network namespace of the test's own, and stop them after the test.

Every fixture is a factory: `baresip(account, 440.0)` starts a phone. Namespaces hang on the host, where the server
under test binds (`peer.inside.host_address`), or on another namespace (`uplink=`), such as the provider's. On a
machine that lacks a program the test is skipped; with TRUNKLINE_REQUIRE_INTEROP=1 it fails. The drivers are in `peers`.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers import audio, needs
from peers import baresip as baresip_driver
from peers import linphone as linphone_driver
from peers import sipp as sipp_driver
from peers.capture import Capture
from peers.fixtures import MakeNamespace, MakeSipp, StartBaresip, StartCapture, StartLinphone, StartProvider
from peers.kamailio import Kamailio, ProviderSettings
from peers.namespace import Namespace, namespace

PROVIDER_PORT = 5060
MOBILE_PORT = 5070
TONE_S = 30.0


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

        def make(*, nat: bool = False, forwards: bool = False, uplink: Namespace | None = None) -> Namespace:
            return stack.enter_context(namespace(nat=nat, forwards=forwards, uplink=uplink))

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
        ) -> baresip_driver.Baresip:
            folder = tmp_path / f"baresip-{next(numbers)}-{account.user}"
            started = baresip_driver.Baresip(folder, inside or netns(uplink=uplink), account, _tone(tmp_path, tone_hz))
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
        ) -> linphone_driver.Linphone:
            folder = tmp_path / f"linphone-{next(numbers)}-{account.user}"
            started = linphone_driver.Linphone(
                folder, inside or netns(uplink=uplink), account, _tone(tmp_path, tone_hz)
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


def _tone(folder: Path, frequency_hz: float) -> Path:
    path = folder / f"tone-{frequency_hz:g}.wav"
    return path if path.exists() else audio.write_tone(path, frequency_hz, TONE_S)
