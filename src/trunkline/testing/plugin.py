"""The pytest plugin: fixtures for virtual time and network, and the ladder of a server when a test that used it fails.

pytest loads it by its entry point; it imports the rest of the test kit only when a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from trunkline.server.server import SipServer
    from trunkline.testing.network import VirtualNetwork

__all__ = ["report_on", "run_virtual", "virtual_network"]

SEED = 1

_watched = pytest.StashKey[list["SipServer"]]()


@pytest.fixture
def run_virtual() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on a loop of virtual time and returns its result: `run_virtual(main())`."""
    from trunkline.testing.clock import run

    return run


@pytest.fixture
def virtual_network() -> VirtualNetwork:
    """A network in memory, without hosts yet; the same random numbers each time."""
    from trunkline.testing.network import VirtualNetwork

    return VirtualNetwork(SEED)


@pytest.fixture
def report_on(request: pytest.FixtureRequest) -> Callable[[SipServer], SipServer]:
    """Traces the server that it is called with; if the test fails, its ladder is part of the report."""
    servers: list[SipServer] = []
    request.node.stash[_watched] = servers

    def watch(server: SipServer) -> SipServer:
        server.trace()
        servers.append(server)
        return server

    return watch


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Add the ladders of the watched servers to the report of a test that failed."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call" and report.failed:
        from trunkline.trace.report import write_report

        for server in item.stash.get(_watched, []):
            report.sections.append((f"ladder of {server.settings.realm}", write_report(server.recorder)))
