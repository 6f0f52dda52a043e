"""What an outbound registration carries, what the registrar's 2xx says of flows and routes, and how often flows are kept."""

from __future__ import annotations

from random import Random

import pytest

from trunkline.constants import Transport
from trunkline.server.line_outbound import (
    contact_parameters,
    flow_timer_s,
    keep_alive_s,
    proxy_route,
    service_route,
)
from trunkline.server.line_settings import LineSettings
from trunkline.sip.endpoint import Message


def granted(*headers: tuple[str, str]) -> Message:
    lines = ["SIP/2.0 200 OK", *(f"{name}: {value}" for name, value in headers), "Content-Length: 0"]
    return Message.parse("\r\n".join(lines).encode() + b"\r\n\r\n")


def test_the_instance_is_the_tokens_and_not_the_token() -> None:
    (name, instance), reg_id = contact_parameters("0001-token")
    assert name == "+sip.instance"
    assert instance is not None
    assert instance.startswith('"<urn:uuid:')
    assert "token" not in instance
    assert contact_parameters("0001-token")[0] == (name, instance)
    assert contact_parameters("0002-token")[0] != (name, instance)
    assert reg_id == ("reg-id", "1")


@pytest.mark.parametrize(
    ("value", "seconds"), [("30", 30), ("1", 10), ("99999", 3_600), ("0", None), ("soon", None), (None, None)]
)
def test_a_flow_timer_is_kept_within_bounds(value: str | None, seconds: int | None) -> None:
    assert flow_timer_s(granted(*([("Flow-Timer", value)] if value else []))) == seconds


@pytest.mark.parametrize(
    ("transport", "timer_s", "lowest", "highest"),
    [("udp", None, 25, 25), ("udp", 15, 12, 15), ("udp", 300, 20, 25), ("tcp", None, 96, 120), ("tcp", 40, 32, 40)],
)
def test_a_flow_is_kept_alive_ahead_of_its_timer(
    transport: str, timer_s: int | None, lowest: float, highest: float
) -> None:
    random = Random(3)
    drawn = [keep_alive_s(transport, timer_s, random) for _ in range(200)]
    assert lowest <= min(drawn) <= max(drawn) <= highest


@pytest.mark.parametrize(
    ("settings", "route"),
    [
        ({}, None),
        ({"outbound_proxy": "proxy.example"}, "<sip:proxy.example;lr>"),
        ({"outbound_proxy": "proxy.example:5070"}, "<sip:proxy.example:5070;lr>"),
        ({"outbound_proxy": "[2001:db8::1]:5070"}, "<sip:[2001:db8::1]:5070;lr>"),
        ({"outbound_proxy": "proxy.example", "transport": Transport.TCP}, "<sip:proxy.example;transport=tcp;lr>"),
        ({"outbound_proxy": "ITSP.example"}, None),
        ({"outbound_proxy": "itsp.example", "server": "itsp.example:5070"}, "<sip:itsp.example;lr>"),
        ({"outbound_proxy": "proxy.example", "domain": "proxy.example"}, None),
    ],
)
def test_an_outbound_proxy_that_is_another_host_is_a_loose_route(
    settings: dict[str, object], route: str | None
) -> None:
    values = {"server": "itsp.example", **settings}
    assert proxy_route(LineSettings("itsp", "1555", **values)) == route  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "proxy", "expected"),
    [
        ([], None, ()),
        (["<sip:a.example;lr>, <sip:orig@b.example;lr>"], None, ("<sip:a.example;lr>", "<sip:orig@b.example;lr>")),
        (["<sip:a.example;lr>", "<sip:b.example;lr>"], None, ("<sip:a.example;lr>", "<sip:b.example;lr>")),
        (["<sip:p.example:5060;lr>, <sip:b.example;lr>"], "<sip:p.example;lr>", ("<sip:b.example;lr>",)),
        (["<sip:p.example:5070;lr>"], "<sip:p.example;lr>", ("<sip:p.example:5070;lr>",)),
        (["<sip:strict.example>"], None, ()),
        (["<sip:a.example;lr"], None, ()),
        ([", ".join(f"<sip:h{number}.example;lr>" for number in range(50))], None, ()),
    ],
)
def test_a_service_route_is_taken_whole_or_not_at_all(
    values: list[str], proxy: str | None, expected: tuple[str, ...]
) -> None:
    assert service_route(granted(*(("Service-Route", value) for value in values)), proxy) == expected
