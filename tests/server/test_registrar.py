"""The registrar by RFC 3261 §10.3: one test a rule, on real messages above a recording driver, in virtual time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.server.recording import PHONE, REALM, Events, credentials, endpoint, request
from trunkline.events import RegisterUser, RegisterUserFailed, RegisterUserSuccess, UnregisterUser
from trunkline.server.addresses import OwnAddresses
from trunkline.server.auth import Authenticator
from trunkline.server.registrar import DECISION_TIMEOUT_S, RegisterRequest, Registrar
from trunkline.server.registration import ExpiryBounds
from trunkline.server.users import User, Users
from trunkline.sip.endpoint import Flow, RequestReceived
from trunkline.storage.records import BindingRecord
from trunkline.testing.clock import run

CONTACT = "<sip:alice@192.0.2.7:5060>"
NATTED = Flow("udp", ("198.51.100.9", 33000), ("192.0.2.1", 5060))
WALL = 1_700_000_000.0


class Rows(dict[tuple[str | int, ...], BindingRecord]):
    """What would be stored."""

    def put(self, record: BindingRecord) -> None:
        self[record.key] = record

    def delete(self, record: BindingRecord) -> None:
        self.pop(record.key, None)


class House:
    """A registrar with the users alice and bob."""

    def __init__(self, rows: Rows | None = None, algorithm: str = "MD5") -> None:
        self.endpoint, self.driver = endpoint()
        self.users = Users()
        self.users.add(User.with_password("alice", "secret", realm=REALM, max_contacts=3))
        self.users.add(User.with_password("bob", "bob's", realm=REALM))
        self.events = Events()
        self.rows = Rows() if rows is None else rows
        addresses = OwnAddresses(domains=[REALM, "other.example"], source=lambda remote: "192.0.2.1")
        loop = asyncio.get_running_loop()
        self.registrar = Registrar(
            self.endpoint,
            self.users,
            Authenticator(self.endpoint, self.users, realm=REALM, algorithm=algorithm),
            addresses,
            self.events.append,
            wall_clock=lambda: WALL + loop.time(),
            bounds=ExpiryBounds(60, 3600, 7200),
            store=self.rows,
        )
        self.cseq = 0

    def register(
        self,
        *headers: tuple[str, str],
        user: str = "alice",
        password: str | None = "secret",
        uri: str = f"sip:{REALM}",
        to: str | None = None,
        flow: Flow = PHONE,
        via: str = "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1",
        call_id: str = "c1",
        cseq: int | None = None,
        algorithm: str = "MD5",
    ) -> RequestReceived:
        self.cseq = cseq or self.cseq + 1
        proof = None if password is None else credentials(user, password, algorithm=algorithm)
        sent = request(
            "REGISTER", uri, headers, flow=flow, via=via, to=to or f"<sip:{user}@{REALM}>", call_id=call_id,
            cseq=self.cseq, credentials=proof,
        )  # fmt: skip
        self.registrar.register(sent)
        return sent

    @property
    def last(self) -> tuple[int, str | None]:
        return self.driver.answers[-1].status, self.driver.answers[-1].reason

    def contacts(self) -> list[str]:
        return self.driver.answers[-1].values("Contact")


def house(scenario: Callable[[House], Awaitable[None] | None], **options: object) -> None:
    async def main() -> None:
        built = House(**options)  # type: ignore[arg-type]
        result = scenario(built)
        if result is not None:
            await result
        built.registrar.close()

    run(main())


# --- step 1: the domain -----------------------------------------------------------------------------------------------


def test_10_3_1_a_register_for_a_foreign_domain_is_403() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), uri="sip:elsewhere.example")
        assert h.last[0] == 403
        assert h.events.names() == ["RegisterUserFailed"]

    house(scenario)


@pytest.mark.parametrize("domain", [REALM, "PBX.example", "other.example", "192.0.2.1", "192.0.2.1:5060"])
def test_10_3_1_the_realm_further_domains_and_our_own_addresses_are_ours(domain: str) -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), uri=f"sip:{domain}", to=f"<sip:alice@{domain.split(':')[0]}>")
        assert h.last[0] == 200

    house(scenario)


# --- steps 3 and 4: who, and may he -------------------------------------------------------------------------------------


def test_10_3_3_without_credentials_a_challenge_and_no_failure_is_told() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), password=None)
        assert h.driver.challenges == [False]
        assert h.events == []

    house(scenario)


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("nobody", "secret")])
def test_10_3_3_wrong_password_and_unknown_user_get_the_same_fresh_challenge(user: str, password: str) -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), user=user, password=password)
        assert h.driver.challenges == [False]
        assert h.driver.answers == []
        (event,) = h.events
        assert isinstance(event, RegisterUserFailed)
        assert (event.user, event.status, event.from_ip) == (user, 401, "192.0.2.7")

    house(scenario)


def test_10_3_3_credentials_of_another_algorithm_than_ours_prove_nothing() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), algorithm="MD5")
        assert h.driver.challenges == [False]
        h.register(("Contact", CONTACT), algorithm="SHA-256")
        assert h.last[0] == 200

    house(scenario, algorithm="SHA-256")


def test_10_3_3_credentials_with_an_old_nonce_are_called_stale() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), ("Authorization", 'Digest username="alice", nonce="old"'), password=None)
        assert h.driver.challenges == [True]

    house(scenario)


def test_10_3_4_a_user_registers_for_itself_alone() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), to=f"<sip:bob@{REALM}>")
        assert h.last[0] == 403
        assert len(h.registrar) == 0

    house(scenario)


# --- step 5: the address-of-record --------------------------------------------------------------------------------------


def test_10_3_5_an_address_in_no_domain_of_ours_is_404() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), to="<sip:alice@elsewhere.example>")
        assert h.last[0] == 404

    house(scenario)


# --- step 6: the Contact header -----------------------------------------------------------------------------------------


def test_10_3_6_without_contact_the_bindings_are_listed() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT))
        h.register()
        assert h.last[0] == 200
        assert h.contacts() == [f"{CONTACT};expires=3600"]

    house(scenario)


def test_10_3_6_star_with_expires_0_removes_all() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), ("Contact", "<sip:alice@192.0.2.8>"))
        h.events.clear()
        h.register(("Contact", "*"), ("Expires", "0"))
        assert h.last[0] == 200
        assert h.contacts() == []
        assert h.rows == {}
        assert [event.lapsed for event in h.events if isinstance(event, UnregisterUser)] == [False, False]

    house(scenario)


@pytest.mark.parametrize(
    "headers",
    [
        [("Contact", "*")],
        [("Contact", "*"), ("Expires", "60")],
        [("Contact", "*"), ("Contact", CONTACT), ("Expires", "0")],
        [("Contact", f"{CONTACT}, *"), ("Expires", "0")],
    ],
)
def test_10_3_6_star_stands_alone_and_with_expires_0(headers: list[tuple[str, str]]) -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT))
        h.register(*headers)
        assert h.last[0] == 400
        assert len(h.registrar) == 1

    house(scenario)


def test_10_3_6_star_does_not_remove_what_a_newer_register_bound() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), cseq=7)
        h.register(("Contact", "*"), ("Expires", "0"), cseq=6)
        assert h.last[0] == 500
        assert len(h.registrar) == 1

    house(scenario)


# --- step 7: each contact -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "headers", "granted"),
    [
        (CONTACT, [], 3600),
        (CONTACT, [("Expires", "600")], 600),
        (f"{CONTACT};expires=120", [("Expires", "600")], 120),
        (f"{CONTACT};expires=86400", [], 7200),
        (CONTACT, [("Expires", "99999999999999")], 7200),
        (CONTACT, [("Expires", "soon")], 3600),
        (f"{CONTACT};expires=soon", [("Expires", "600")], 3600),
        (CONTACT, [("Expires", "60")], 60),
    ],
)
def test_10_3_7_the_expiry_is_read_and_bounded(contact: str, headers: list[tuple[str, str]], granted: int) -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", contact), *headers)
        assert h.contacts() == [f"{CONTACT};expires={granted}"]

    house(scenario)


def test_10_3_7_too_brief_is_423_with_the_minimum() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), ("Expires", "59"))
        assert h.last[0] == 423
        assert h.driver.answers[-1].values("Min-Expires") == ["60"]
        assert len(h.registrar) == 0

    house(scenario)


def test_10_3_7_expiry_0_removes_one_contact() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), ("Contact", "<sip:alice@192.0.2.8>"))
        h.register(("Contact", f"{CONTACT};expires=0"))
        assert h.contacts() == ["<sip:alice@192.0.2.8>;expires=3600"]

    house(scenario)


def test_10_3_7_an_old_or_repeated_cseq_of_one_call_id_fails() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), cseq=5)
        h.register(("Contact", CONTACT), ("Expires", "0"), cseq=5)
        assert h.last[0] == 500
        h.register(("Contact", CONTACT), ("Expires", "0"), cseq=4)
        assert h.last[0] == 500
        h.register(("Contact", CONTACT), ("Expires", "0"), cseq=4, call_id="other")
        assert h.last[0] == 200
        assert len(h.registrar) == 0

    house(scenario)


def test_10_3_7_all_or_nothing() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT))
        h.register(("Contact", "<sip:alice@192.0.2.8>"), ("Contact", f"{CONTACT};expires=1"))
        assert h.last[0] == 423
        h.register(("Contact", "<sip:alice@192.0.2.8>"), ("Contact", "<mailto:alice@x.example>"))
        assert h.last[0] == 400
        h.register(("Contact", "<sip:alice@192.0.2.8>"), ("Contact", CONTACT), cseq=1)
        assert h.last[0] == 500
        h.register()
        assert h.contacts() == [f"{CONTACT};expires=3600"]
        assert list(h.rows) == [("alice", "sip:alice@192.0.2.7:5060", "")]

    house(scenario)


def test_10_3_7_more_contacts_at_once_than_a_user_may_have_are_refused() -> None:
    def scenario(h: House) -> None:
        h.register(*[("Contact", f"<sip:alice@192.0.2.{n}>") for n in range(1, 5)])
        assert h.last[0] == 403

    house(scenario)


def test_the_oldest_contact_goes_at_the_maximum() -> None:
    async def scenario(h: House) -> None:
        for number in range(1, 5):
            h.register(("Contact", f"<sip:alice@192.0.2.{number}>"), call_id=str(number))
            await asyncio.sleep(1)
        assert [contact.split(">")[0] for contact in h.contacts()] == [
            "<sip:alice@192.0.2.4", "<sip:alice@192.0.2.3", "<sip:alice@192.0.2.2",
        ]  # fmt: skip
        (gone,) = h.events.of(UnregisterUser)
        assert gone == UnregisterUser("alice", "sip:alice@192.0.2.1", False)
        assert len(h.rows) == 3

    house(scenario)


def test_a_register_with_the_same_instance_replaces_the_old_contact() -> None:
    def scenario(h: House) -> None:
        instance = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'
        h.register(("Contact", f"{CONTACT};{instance};reg-id=1"))
        h.register(("Contact", f"<sip:alice@192.0.2.7:6060>;{instance.lower()};reg-id=2"), call_id="c2")
        (contact,) = h.contacts()
        assert contact.startswith("<sip:alice@192.0.2.7:6060>")
        assert '+sip.instance="<urn:uuid:' in contact
        assert len(h.rows) == 1

    house(scenario)


def test_q_values_order_the_contacts_and_come_back() -> None:
    def scenario(h: House) -> None:
        h.register(
            ("Contact", "<sip:low@192.0.2.7>;q=0.25"), ("Contact", CONTACT), ("Contact", "<sip:m@192.0.2.7>;q=0.5")
        )
        assert h.contacts() == [
            f"{CONTACT};expires=3600", "<sip:m@192.0.2.7>;expires=3600;q=0.5", "<sip:low@192.0.2.7>;expires=3600;q=0.25",
        ]  # fmt: skip

    house(scenario)


# --- step 8: the answer and the time after --------------------------------------------------------------------------------


def test_10_3_8_the_200_lists_all_with_the_time_that_is_left() -> None:
    async def scenario(h: House) -> None:
        h.register(("Contact", CONTACT))
        await asyncio.sleep(600)
        h.register(("Contact", "<sip:alice@192.0.2.8>"), call_id="c2")
        assert sorted(h.contacts()) == [f"{CONTACT};expires=3000", "<sip:alice@192.0.2.8>;expires=3600"]
        assert h.driver.answers[-1].values("Date")[0].endswith("GMT")

    house(scenario)


def test_a_binding_that_is_not_refreshed_lapses_and_that_is_told() -> None:
    async def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), ("Expires", "60"))
        await asyncio.sleep(61)
        assert h.registrar.bindings("alice") == []
        assert h.events[-1] == UnregisterUser("alice", "sip:alice@192.0.2.7:5060", True)
        assert h.rows == {}

    house(scenario)


def test_a_refresh_is_told_as_one() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), ("User-Agent", "phone/1"))
        h.register(("Contact", CONTACT))
        told = [event for event in h.events if isinstance(event, RegisterUserSuccess)]
        assert [(event.refresh, event.expires_s) for event in told] == [(False, 3600), (True, 3600)]
        assert (told[0].user_agent, told[0].from_ip, told[0].from_port) == ("phone/1", "192.0.2.7", 5060)

    house(scenario)


def test_rfc_3327_the_path_is_kept_and_comes_back() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", CONTACT), ("Path", "<sip:edge.example;lr>"), ("Supported", "path"), flow=NATTED)
        assert h.driver.answers[-1].values("Path") == ["<sip:edge.example;lr>"]
        (binding,) = h.registrar.bindings("alice")
        assert (binding.path, binding.nat) == (("<sip:edge.example;lr>",), False)

    house(scenario)


# --- NAT and connections --------------------------------------------------------------------------------------------------


def test_a_phone_behind_nat_is_reached_over_its_flow_which_is_kept_open() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", "<sip:alice@10.0.0.2>"), flow=NATTED, via="SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1")
        (binding,) = h.registrar.bindings("alice")
        assert (binding.nat, binding.flow) == (True, NATTED)
        assert h.driver.kept_open == {NATTED: 25.0}
        h.register(("Contact", "*"), ("Expires", "0"), flow=NATTED)
        assert h.driver.kept_open == {}

    house(scenario)


def test_a_nat_that_gave_the_phone_a_new_port_moves_the_keep_alive() -> None:
    moved = Flow("udp", ("198.51.100.9", 44000), ("192.0.2.1", 5060))

    def scenario(h: House) -> None:
        for flow in (NATTED, moved):
            h.register(("Contact", "<sip:alice@10.0.0.2>"), flow=flow, via="SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1")
        assert h.driver.kept_open == {moved: 25.0}
        assert len(h.registrar) == 1

    house(scenario)


def test_a_contact_that_names_another_address_than_its_source_is_natted() -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", "<sip:alice@10.0.0.2:5060>"))
        h.register(("Contact", CONTACT))
        assert {binding.uri.host: binding.nat for binding in h.registrar.bindings("alice")} == {
            "10.0.0.2": True, "192.0.2.7": False,
        }  # fmt: skip

    house(scenario)


def test_a_binding_behind_nat_ends_with_its_connection() -> None:
    stream = Flow("tcp", ("192.0.2.7", 40000), ("192.0.2.1", 5060), 7)

    def scenario(h: House) -> None:
        h.register(("Contact", "<sip:alice@10.0.0.2;transport=tcp>"), flow=stream)
        h.registrar.flow_closed(Flow("tcp", ("192.0.2.7", 1), None, 8))
        assert len(h.registrar) == 1
        h.registrar.flow_closed(stream)
        assert len(h.registrar) == 0
        assert h.events[-1] == UnregisterUser("alice", "sip:alice@10.0.0.2;transport=tcp", True)
        assert h.rows == {}
        assert h.driver.kept_open == {}

    house(scenario)


def test_a_phone_that_can_be_connected_to_outlasts_its_connection() -> None:
    stream = Flow("tcp", ("192.0.2.7", 40000), ("192.0.2.1", 5060), 7)

    def scenario(h: House) -> None:
        h.register(("Contact", "<sip:alice@192.0.2.7;transport=tcp>"), flow=stream)
        h.registrar.flow_closed(stream)
        (binding,) = h.registrar.bindings("alice")
        assert binding.flow == Flow("tcp", ("192.0.2.7", 5060))
        assert not any(isinstance(event, UnregisterUser) for event in h.events)

    house(scenario)


def test_a_removed_user_leaves_no_binding() -> None:
    def scenario(h: House) -> None:
        h.users.on_removed = lambda user: h.registrar.drop_user(user.name)
        h.register(("Contact", CONTACT))
        h.users.remove("alice")
        assert len(h.registrar) == 0

    house(scenario)


# --- a restart ------------------------------------------------------------------------------------------------------------


def test_bindings_survive_a_restart_with_the_time_that_is_left() -> None:
    rows = Rows()

    async def before(h: House) -> None:
        h.register(("Contact", f"{CONTACT};q=0.5"), ("Path", "<sip:edge.example;lr>"), ("User-Agent", "phone/1"))
        h.register(("Contact", "<sip:alice@10.0.0.2>"), ("Expires", "90"), flow=NATTED, call_id="c2")
        await asyncio.sleep(30)

    async def after(h: House) -> None:
        # the virtual clock began anew: 30 s of wall time are to be counted off all the same
        await asyncio.sleep(40)
        assert h.registrar.restore(list(rows.values()), lambda flow: True) == 2
        h.register()
        assert sorted(h.contacts()) == ["<sip:alice@10.0.0.2>;expires=50", f"{CONTACT};expires=3560;q=0.5"]
        natted, plain = h.registrar.bindings("alice")
        assert (natted.flow, natted.nat) == (NATTED, True)
        assert (plain.path, plain.user_agent) == (("<sip:edge.example;lr>",), "phone/1")
        assert h.driver.kept_open == {NATTED: 25.0}
        h.register(("Contact", CONTACT), cseq=1)
        assert h.last[0] == 500  # the order of before still counts
        await asyncio.sleep(51)
        assert len(h.registrar) == 1

    house(before, rows=rows)
    house(after, rows=rows)


def test_what_lapsed_or_cannot_be_reached_any_more_is_not_restored() -> None:
    stream = Flow("tcp", ("192.0.2.7", 40000), ("192.0.2.1", 5060), 7)
    rows = Rows()

    async def before(h: House) -> None:
        h.register(("Contact", CONTACT), ("Expires", "60"))
        h.register(("Contact", "<sip:alice@10.0.0.2;transport=tcp>"), flow=stream, call_id="c2")
        h.register(("Contact", "<sip:bob@192.0.2.9>"), user="bob", password="bob's", call_id="c3")

    async def after(h: House) -> None:
        await asyncio.sleep(60)
        h.users.remove("bob")
        assert h.registrar.restore(list(rows.values()), lambda flow: True) == 0
        assert rows == {}

    house(before, rows=rows)
    assert len(rows) == 3
    house(after, rows=rows)


def test_a_phone_on_tcp_without_nat_is_connected_to_after_a_restart() -> None:
    stream = Flow("tcp", ("192.0.2.7", 40000), ("192.0.2.1", 5060), 7)
    rows = Rows()

    def before(h: House) -> None:
        h.register(("Contact", "<sip:alice@192.0.2.7:5070;transport=tcp>"), flow=stream)

    def after(h: House) -> None:
        h.registrar.restore(list(rows.values()), lambda flow: True)
        assert [binding.flow for binding in h.registrar.bindings("alice")] == [Flow("tcp", ("192.0.2.7", 5070))]

    house(before, rows=rows)
    house(after, rows=rows)


def test_a_restored_flow_of_a_listener_that_is_gone_is_any_listeners() -> None:
    rows = Rows()
    house(lambda h: h.register(("Contact", CONTACT)) and None, rows=rows)

    def after(h: House) -> None:
        h.registrar.restore(list(rows.values()), lambda flow: flow.local is None)
        assert h.registrar.bindings("alice")[0].flow == Flow("udp", PHONE.remote)

    house(after, rows=rows)


# --- on_register_user -----------------------------------------------------------------------------------------------------


def asked(h: House, *headers: tuple[str, str], password: str | None = None) -> RegisterRequest:
    h.registrar.asks = True
    h.register(("Contact", CONTACT), *headers, password=password)
    event = h.events[-1]
    assert isinstance(event, RegisterUser)
    return event.request


def test_a_register_waits_for_the_decision() -> None:
    def scenario(h: House) -> None:
        waiting = asked(h, ("User-Agent", "phone/1"))
        assert h.driver.answers == []
        assert (waiting.user, waiting.domain, waiting.user_agent) == ("alice", REALM, "phone/1")
        assert (waiting.from_ip, waiting.from_port, waiting.has_credentials) == ("192.0.2.7", 5060, False)

    house(scenario)


def test_accept_registers_without_a_password() -> None:
    def scenario(h: House) -> None:
        asked(h).accept()
        assert h.last[0] == 200
        assert h.events.names() == ["RegisterUser", "RegisterUserSuccess"]

    house(scenario)


def test_attach_registers_for_another_user() -> None:
    def scenario(h: House) -> None:
        asked(h).attach("bob")
        assert h.last[0] == 200
        assert [binding.user for binding in h.registrar.bindings("bob")] == ["bob"]
        asked(h).attach("carol")
        assert h.last == (404, "Unknown user")

    house(scenario)


def test_reject_answers_what_it_is_told() -> None:
    def scenario(h: House) -> None:
        waiting = asked(h)
        with pytest.raises(ValueError, match="200"):
            waiting.reject(200)
        waiting.reject(403, "Not today")
        assert h.last == (403, "Not today")
        event = h.events[-1]
        assert isinstance(event, RegisterUserFailed)
        assert (event.user, event.status, event.reason) == ("alice", 403, "Not today")
        assert (event.from_ip, event.from_port) == ("192.0.2.7", 5060)
        assert explained(h) == "user alice: the application refused it"

    house(scenario)


def test_authenticate_asks_for_the_password() -> None:
    def scenario(h: House) -> None:
        asked(h).authenticate()
        assert h.driver.challenges == [False]
        asked(h, password="secret").authenticate()
        assert h.last[0] == 200

    house(scenario)


def test_exactly_one_decision_counts() -> None:
    def scenario(h: House) -> None:
        waiting = asked(h)
        waiting.reject()
        with pytest.raises(RuntimeError, match="decided already"):
            waiting.accept()
        waiting.settle()
        assert waiting.decided
        assert len(h.driver.answers) == 1
        assert h.driver.challenges == []

    house(scenario)


def test_the_default_is_to_authenticate() -> None:
    def scenario(h: House) -> None:
        asked(h).settle()
        assert h.driver.challenges == [False]

    house(scenario)


def test_a_decision_that_never_comes_is_made_before_the_phone_gives_up() -> None:
    async def scenario(h: House) -> None:
        asked(h)
        await asyncio.sleep(DECISION_TIMEOUT_S + 0.1)
        assert h.driver.challenges == [False]

    assert DECISION_TIMEOUT_S < 32
    house(scenario)


def test_a_decision_from_another_thread_is_carried_out_on_the_loop() -> None:
    async def scenario(h: House) -> None:
        waiting = asked(h)
        carried_out: list[str] = []
        accept = waiting._accept

        def watched(request: RegisterRequest, user: str) -> None:
            carried_out.append(threading.current_thread().name)
            accept(request, user)

        waiting._accept = watched
        await asyncio.to_thread(waiting.accept)
        await asyncio.sleep(0)
        assert carried_out == [threading.current_thread().name]
        assert h.last[0] == 200

    house(scenario)


def test_a_foreign_domain_asks_nobody() -> None:
    def scenario(h: House) -> None:
        h.registrar.asks = True
        h.register(("Contact", CONTACT), uri="sip:elsewhere.example")
        assert h.events.names() == ["RegisterUserFailed"]

    house(scenario)


@pytest.mark.parametrize(
    "contact", ["<tel:+15551234>", "<sips:alice@192.0.2.7>", f"<sip:{'a' * 1000}@192.0.2.7>", "<sip:>"]
)
def test_contacts_that_cannot_be_called_are_refused(contact: str) -> None:
    def scenario(h: House) -> None:
        h.register(("Contact", contact))
        assert h.last[0] == 400
        assert len(h.registrar) == 0

    house(scenario)


def test_a_lapse_that_is_a_hair_away_ends_the_wait() -> None:
    async def scenario(h: House) -> None:
        await asyncio.sleep(0.1234567891234)
        h.register(("Contact", CONTACT), ("Expires", "60"))
        (binding,) = h.registrar.bindings("alice")
        h.registrar._lapse(binding.expires_at)
        assert len(h.registrar) == 0

    house(scenario)


# --- explanations -----------------------------------------------------------------------------------------------------


def explained(h: House) -> str:
    """What the last failure says in words; without a secret."""
    event = h.events[-1]
    assert isinstance(event, RegisterUserFailed)
    assert event.explanation is not None
    whole = repr(event.explanation)
    assert "secret" not in whole
    assert "bob's" not in whole
    assert event.explanation.sent.startswith(str(event.status))
    assert event.explanation.received.endswith("from 192.0.2.7:5060")
    return event.explanation.problem


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"password": "guess"}, "user alice: the phone's password is wrong"),
        ({"user": "nobody"}, "user nobody: there is no user of that name"),
        ({"user": "bob", "password": "bob's", "to": f"<sip:alice@{REALM}>"}, "user bob may not register for alice"),
        ({"algorithm": "SHA-256"}, "user alice: the phone answers by another digest algorithm than it is asked for"),
        (
            {"uri": "sip:elsewhere.example"},
            f"user alice: the phone registers in the domain {REALM}, which is none of ours",
        ),
        (
            {"to": "<sip:alice@elsewhere.example>"},
            "user alice: the phone registers in the domain elsewhere.example, which is none of ours",
        ),
        ({"expires": "10"}, "user alice: the phone asks for a registration that is too brief"),
        ({"contacts": 4}, "user alice: the phone registers more contacts than the user may have"),
        ({"contact": "<mailto:a@b>"}, "user alice: the phone's REGISTER is malformed: A Contact must be a sip URI"),
    ],
)
def test_each_refusal_is_explained(how: dict[str, Any], problem: str) -> None:
    def scenario(h: House) -> None:
        given = dict(how)
        number, contact = given.pop("contacts", 1), given.pop("contact", CONTACT)
        headers = [("Contact", contact.replace("alice", f"alice{each or ''}")) for each in range(number)]
        if "expires" in given:
            headers.append(("Expires", given.pop("expires")))
        h.register(*headers, **given)
        assert explained(h) == problem

    house(scenario)


def test_credentials_for_another_realm_are_explained() -> None:
    def scenario(h: House) -> None:
        h.registrar._authenticator.realm = "moved.example"
        h.register(("Contact", CONTACT))
        assert explained(h) == f"user alice: the phone answers for the realm {REALM}, which is not ours"

    house(scenario)
