"""The commands that a batch of events leads to go out together, and no batch is so long that its first answer is late."""

from __future__ import annotations

from typing import Any

from _trunkline import Flow, RequestReceived, SansIoEndpoint
from tests.sip.wire import request
from trunkline.sip.endpoint import BATCH, Endpoint

OURS = ("192.0.2.1", 5060)
THEIRS = ("192.0.2.9", 5070)


class Holding:
    """A sans-IO driver that notes when commands are held and when they go."""

    def __init__(self, driver: SansIoEndpoint, noted: list[str]) -> None:
        self._driver = driver
        self._noted = noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def hold(self) -> None:
        self._noted.append("hold")

    def release(self) -> None:
        self._noted.append("release")


def endpoint(noted: list[str], requests: int) -> Endpoint:
    driver = SansIoEndpoint(seed=1)
    driver.add_listener("udp", *OURS)
    driver.set_time(100.0)
    for _ in range(requests):
        driver.receive(Flow("udp", THEIRS, OURS), request("OPTIONS", THEIRS))
    return Endpoint(Holding(driver, noted))


def test_commands_are_held_while_a_batch_is_dispatched() -> None:
    noted: list[str] = []
    it = endpoint(noted, BATCH + 2)
    it.on_request = lambda event: noted.append("dispatched")
    it.pump()
    assert noted == ["hold", *["dispatched"] * BATCH, "release", "hold", *["dispatched"] * 2, "release"]


def test_a_second_driver_is_held_too() -> None:
    noted: list[str] = []
    it = endpoint(noted, 1)
    media: list[str] = []
    it.hold_too(Holding(SansIoEndpoint(seed=2), media))
    it.hold_too(object())
    it.pump()
    assert media == ["hold", "release"]


def test_commands_go_out_though_a_handler_raises(caplog: Any) -> None:
    noted: list[str] = []
    it = endpoint(noted, 1)

    def fail(event: RequestReceived) -> None:
        raise ValueError("broken")

    it.on_request = fail
    it.pump()
    assert noted == ["hold", "release"]
    assert "broken" in caplog.text
