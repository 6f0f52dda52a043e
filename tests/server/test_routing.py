"""Where a call goes: to a user's contacts and to a line's server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tests.server.provider import House, house
from tests.server.recording import REALM, credentials, request
from trunkline.calls.peers import PlacementError, Placing, Target
from trunkline.calls.plan import Found, Step, Turns
from trunkline.constants import PeerType
from trunkline.server.auth import Authenticator
from trunkline.server.registrar import Registrar
from trunkline.server.routing import Routing
from trunkline.server.users import User, Users
from trunkline.sip.endpoint import Flow, NameAddr

NATTED = Flow("udp", ("203.0.113.9", 33000), ("192.0.2.1", 5060))
PHONE = Flow("udp", ("192.0.2.7", 5060), ("192.0.2.1", 5060))


class Routed(House):
    """Lines, and the user alice with the phones that a test registers."""

    def __init__(self) -> None:
        super().__init__()
        self.users = Users()
        self.users.add(User.with_password("alice", "secret", realm=REALM))
        authenticator = Authenticator(self.endpoint, self.users, realm=REALM)
        self.registrar = Registrar(
            self.endpoint, self.users, authenticator, self.addresses, self.events.append, wall_clock=lambda: 0.0
        )
        self.calls: list[object | None] = []
        self.routing = Routing(
            self.users, self.registrar, self.lines, domain=REALM, active_calls=lambda line: self.calls
        )

    def bind(self, contact: str, *headers: tuple[str, str], flow: Flow = PHONE, call_id: str = "c1") -> None:
        via = f"SIP/2.0/UDP {contact.partition('@')[2].split('>')[0].split(';')[0]};branch=z9hG4bK1"
        self.registrar.register(
            request(
                "REGISTER", f"sip:{REALM}", [("Contact", contact), *headers], flow=flow, via=via, call_id=call_id,
                credentials=credentials("alice", "secret"),
            )
        )  # fmt: skip

    async def targets(self, placing: Placing) -> list[Target]:
        """What the first step of a plan finds."""
        return await first_targets(self.routing.plan(placing))

    async def to_user(self, name: str = "alice", caller_id: str = "+4917", caller_name: str = "Bob") -> list[Target]:
        return await self.targets(Placing(PeerType.USER, name, "", caller_name, caller_id))

    async def to_line(self, number: str = "+15550100", **caller: str) -> Target:
        values: dict[str, Any] = {"caller_name": "", "caller_id": "alice", **caller}
        (target,) = await self.targets(Placing(PeerType.LINE, "itsp", number, **values))
        return target

    async def refused(self, placing: Awaitable[Any]) -> tuple[int, str]:
        with pytest.raises(PlacementError) as caught:
            await placing
        return caught.value.status, caught.value.reason


async def looked_up(step: Step) -> Sequence[Found]:
    """What a step finds."""
    found = step.find()
    return found if isinstance(found, Sequence) else await found()


async def first_targets(turns: Turns) -> list[Target]:
    """What rings first."""
    found = await looked_up(turns.steps[0])
    return [target for each in found for target in ([each] if isinstance(each, Target) else await first_targets(each))]


def same(address: NameAddr, text: str) -> bool:
    """Whether an address says what a text says, however quotes are set."""
    other = NameAddr.parse(text)
    return (address.display_name, str(address.uri)) == (other.display_name, str(other.uri))


def routed(scenario: Callable[[Routed], Awaitable[None]]) -> None:
    async def main(h: Routed) -> None:
        await scenario(h)
        h.registrar.close()

    house(main, Routed)


def test_an_unknown_user_is_404_and_one_without_phone_480() -> None:
    async def scenario(h: Routed) -> None:
        assert await h.refused(h.to_user("nobody")) == (404, "no user nobody")
        assert await h.refused(h.to_user()) == (480, "no phone of alice is registered")

    routed(scenario)


def test_all_contacts_ring() -> None:
    async def scenario(h: Routed) -> None:
        h.bind("<sip:alice@192.0.2.7:5060>")
        h.bind("<sip:alice@192.0.2.8>", flow=Flow("udp", ("192.0.2.8", 5060), ("192.0.2.1", 5060)), call_id="c2")
        targets = await h.to_user()
        assert sorted(str(target.uri) for target in targets) == ["sip:alice@192.0.2.7:5060", "sip:alice@192.0.2.8"]
        for target in targets:
            assert same(target.local, f'"Bob" <sip:+4917@{REALM}>')
            assert str(target.remote) == f"<sip:alice@{REALM}>"
            assert (target.flow.remote[0], target.party.nat) == (target.uri.host, False)

    routed(scenario)


def test_a_phone_behind_nat_rings_over_its_flow() -> None:
    async def scenario(h: Routed) -> None:
        h.bind("<sip:alice@10.0.0.2>", flow=NATTED)
        (target,) = await h.to_user()
        assert (str(target.uri), target.flow, target.party.nat) == ("sip:alice@10.0.0.2", NATTED, True)

    routed(scenario)


def test_a_phone_on_a_connection_rings_over_it() -> None:
    stream = Flow("tcp", ("192.0.2.7", 41000), ("192.0.2.1", 5060), 9)

    async def scenario(h: Routed) -> None:
        h.bind("<sip:alice@192.0.2.7:41000;transport=tcp>", flow=stream)
        assert [target.flow for target in await h.to_user()] == [stream]

    routed(scenario)


def test_a_phone_behind_a_proxy_rings_through_its_path() -> None:
    proxy = Flow("udp", ("192.0.2.50", 5060), ("192.0.2.1", 5060))

    async def scenario(h: Routed) -> None:
        h.bind("<sip:alice@10.0.0.2>", ("Path", "<sip:192.0.2.50:5070;lr>"), flow=proxy)
        (target,) = await h.to_user()
        assert target.headers == (("Route", "<sip:192.0.2.50:5070;lr>"),)
        assert (target.flow.remote, str(target.uri)) == (("192.0.2.50", 5070), "sip:alice@10.0.0.2")

    routed(scenario)


def test_a_caller_without_number_is_anonymous() -> None:
    async def scenario(h: Routed) -> None:
        h.bind("<sip:alice@192.0.2.7:5060>")
        (target,) = await h.to_user(caller_id="", caller_name="")
        assert str(target.local) == f"<sip:anonymous@{REALM}>"

    routed(scenario)


def test_a_call_over_a_line_goes_to_the_server_that_it_is_registered_at() -> None:
    async def scenario(h: Routed) -> None:
        h.dns["sip.itsp.example"] = ["198.51.100.5", "198.51.100.6"]
        line = h.add(display_name="Pbx")
        await h.silence()
        await h.grant()
        target = await h.to_line()
        assert str(target.uri) == "sip:+15550100@sip.itsp.example"
        assert target.flow == Flow("udp", ("198.51.100.6", 5060))
        assert same(target.local, '"Pbx" <sip:15551234@sip.itsp.example>')
        assert str(target.remote) == "<sip:+15550100@sip.itsp.example>"
        assert (target.party.name, target.party.accept_token, target.headers) == ("itsp", line.token, ())
        assert target.party.credentials is not None
        assert target.party.credentials.password == "s3cret"
        assert line.statistics.calls_out == 1

    routed(scenario)


def test_a_line_that_is_not_registered_is_503_and_says_why() -> None:
    async def scenario(h: Routed) -> None:
        assert await h.refused(h.to_line()) == (404, "no line itsp")
        h.add()
        assert await h.refused(h.to_line()) == (503, "line itsp cannot be used: it is being registered")
        await h.say(403, reason="Forbidden")
        status, reason = await h.refused(h.to_line())
        assert (status, reason) == (503, "line itsp cannot be used: Forbidden: the provider refuses this account")

    routed(scenario)


def test_a_line_without_registration_is_usable_at_once_and_located_when_needed() -> None:
    async def scenario(h: Routed) -> None:
        h.add(register=False, server="trunk.example:5090", password=None)
        assert await h.refused(h.to_line()) == (
            503, "line itsp: the provider cannot be found: trunk.example: no such name",
        )  # fmt: skip
        h.dns["trunk.example"] = ["198.51.100.8"]
        target = await h.to_line()
        assert (str(target.uri), target.flow.remote) == ("sip:+15550100@trunk.example:5090", ("198.51.100.8", 5090))
        assert target.party.credentials is None
        assert h.driver.sent == []

    routed(scenario)


def test_a_line_has_no_more_calls_than_its_limit() -> None:
    async def scenario(h: Routed) -> None:
        h.add(max_calls=2)
        await h.grant()
        h.calls = [None]
        await h.to_line()
        h.calls = [None, None]
        assert await h.refused(h.to_line()) == (503, "line itsp has its 2 calls")

    routed(scenario)


def test_a_call_over_a_line_needs_a_number() -> None:
    async def scenario(h: Routed) -> None:
        h.add()
        await h.grant()
        assert (await h.refused(h.to_line("")))[0] == 484

    routed(scenario)


@pytest.mark.parametrize(
    ("settings", "caller", "local"),
    [
        ({}, {"caller_name": "Alice"}, '"Alice" <sip:15551234@sip.itsp.example>'),
        ({"from_user": "caller"}, {"caller_id": "+4930"}, "<sip:+4930@sip.itsp.example>"),
        ({"from_user": "caller"}, {"caller_id": ""}, "<sip:15551234@sip.itsp.example>"),
        ({"from_domain": "pbx.example"}, {}, "<sip:15551234@pbx.example>"),
        ({"domain": "itsp.example"}, {}, "<sip:15551234@itsp.example>"),
        ({"privacy": True}, {"caller_name": "Alice"}, '"Anonymous" <sip:anonymous@anonymous.invalid>'),
    ],
)
def test_from_is_what_the_provider_wants(settings: dict[str, Any], caller: dict[str, str], local: str) -> None:
    async def scenario(h: Routed) -> None:
        h.add(**settings)
        await h.grant()
        assert same((await h.to_line(**caller)).local, local)

    routed(scenario)


def test_identity_and_privacy_headers_are_sent_where_the_line_has_them() -> None:
    async def scenario(h: Routed) -> None:
        h.add(asserted_identity=True, privacy=True, user_phone=True)
        await h.grant()
        target = await h.to_line(caller_id="+4930")
        assert target.headers == (("Privacy", "id"), ("P-Asserted-Identity", "<sip:+4930@sip.itsp.example;user=phone>"))
        assert str(target.uri).endswith(";user=phone")

    routed(scenario)


def test_placing_does_not_wait_for_a_registration() -> None:
    async def scenario(h: Routed) -> None:
        h.add()
        async with asyncio.timeout(0.01):
            await h.refused(h.to_line())

    routed(scenario)
