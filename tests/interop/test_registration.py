"""Phones that register with the server and the line that registers with a provider: passwords, outages, refresh, farewell."""

from __future__ import annotations

import pytest
from peers import baresip, linphone, sipp
from peers.fixtures import MakeNamespace, MakeSipp, StartBaresip, StartLinphone, StartPbx, StartSite
from peers.mobile import NUMBER as MOBILE
from peers.party import Talker
from peers.pbx import ACCOUNT, REALM, password
from peers.process import PeerError, wait_until
from peers.scene import DOMAIN

from trunkline.constants import Transport
from trunkline.events import (
    LineRegisterFailed,
    LineRegisterSuccess,
    LineUnregisterSuccess,
    RegisterUserSuccess,
    UnregisterUser,
)
from trunkline.server.line import LineState

pytestmark = [pytest.mark.interop, pytest.mark.timeout(20)]

REFUSED_WAIT_S = 200.0
"""No refused password is offered again before."""


# -- phones


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("program", ["baresip", "linphone"])
def test_a_phone_registers_and_leaves(site: StartSite, program: str, transport: str) -> None:
    here = site()
    party = here.phone(program, transport=transport)
    assert isinstance(party, Talker)
    (binding,) = here.pbx.server.registrations("alice")
    at = (binding.flow.transport, binding.flow.remote[0], binding.nat)
    assert at == (transport, party.program.inside.address, False)
    assert 0 < here.pbx.wait_event(RegisterUserSuccess, user="alice").expires_s <= 60
    party.program.unregister()
    here.pbx.wait_event(UnregisterUser, user="alice", lapsed=False)
    assert here.pbx.server.registrations("alice") == ()


def test_baresip_with_a_wrong_password_is_not_registered(
    pbx: StartPbx, netns: MakeNamespace, baresip: StartBaresip
) -> None:
    server, inside = pbx(), netns()
    phone = baresip(baresip_account(server.at(inside), "wrong"), 440.0, inside)
    with pytest.raises(PeerError, match="was not registered: 401"):
        phone.wait_registered()
    assert server.server.registrations("alice") == ()


def test_linphone_with_a_wrong_password_is_not_registered(
    pbx: StartPbx, netns: MakeNamespace, linphone: StartLinphone
) -> None:
    server, inside = pbx(), netns()
    phone = linphone(linphone_account(server.at(inside), "wrong"), 440.0, inside)
    with pytest.raises(PeerError, match="was not registered"):
        phone.wait_registered()
    assert server.server.registrations("alice") == ()


@pytest.mark.parametrize(("user", "secret"), [("alice", "wrong"), ("nobody", password("nobody"))])
def test_sipp_with_a_wrong_name_or_password_neither_registers_nor_calls(
    pbx: StartPbx, sipp: MakeSipp, netns: MakeNamespace, user: str, secret: str
) -> None:
    server = pbx()
    eve = sipp(sipp_account(user, secret), netns())
    at = server.at(eve.inside)
    eve.run("register_refused", at, status=401)
    eve.run("caller_refused", at, dials="bob", status=401, challenge=401)
    assert server.server.registrations("alice") == ()
    assert server.story() == []


def test_a_password_with_the_letters_of_digest_strings_is_taken(
    pbx: StartPbx, netns: MakeNamespace, sipp: MakeSipp
) -> None:
    server = pbx()
    secret = "p:a=s,s;w%C3%B6rd"
    server.call(server.server.add_user, "carol", password=secret)
    carol = sipp(sipp_account("carol", secret), netns())
    carol.register(server.at(carol.inside))
    assert len(server.server.registrations("carol")) == 1


def baresip_account(at: str, secret: str) -> baresip.Account:
    return baresip.Account("alice", secret, at, domain=REALM)


def linphone_account(at: str, secret: str) -> linphone.Account:
    return linphone.Account("alice", secret, at, domain=REALM)


def sipp_account(user: str, secret: str) -> sipp.Account:
    return sipp.Account(user, secret, domain=REALM)


# -- the line


def test_a_wrong_password_at_the_provider_is_said_in_words_and_not_offered_again(site: StartSite) -> None:
    here = site()
    provider = here.kamailio()
    line = here.pbx.add_line(provider.server, password="wrong")
    failed = here.pbx.wait_event(LineRegisterFailed)
    assert failed.status == 401
    assert "does not take the user name or password" in failed.reason
    assert failed.retry_in_s > REFUSED_WAIT_S
    here.pbx.wait_line(LineState.REFUSED)
    assert not line.usable
    # A call that needs the line is refused at once, and the provider hears nothing of it, nor of the password.
    alice = here.sipp()
    alice.run("caller_refused", here.pbx.at(alice.inside), dials=MOBILE, status=500, challenge=401)
    sent = here.pbx.messages(provider.address, sent=True)
    assert [entry.data.split(b" ", 1)[0] for entry in sent] == [b"REGISTER", b"REGISTER"]
    here.pbx.wait_told("closed failed")
    assert here.pbx.story() == ["created", "incoming_call", "failed one 503", "closed failed"]


def test_a_provider_that_forbids_the_account_is_not_asked_again(site: StartSite, sipp: MakeSipp) -> None:
    here = site()
    itsp = sipp(sipp_itsp("another"), here.far)
    registrar = itsp.start("registrar", itsp.server)
    here.pbx.add_line(itsp.server)
    failed = here.pbx.wait_event(LineRegisterFailed, status=403)
    assert "refuses this account" in failed.reason
    assert failed.retry_in_s > REFUSED_WAIT_S
    registrar.wait_successful()


def sipp_itsp(secret: str) -> sipp.Account:
    return sipp.Account(ACCOUNT, secret, domain=DOMAIN)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_provider_that_is_down_at_the_start_is_found_when_it_comes(site: StartSite, transport: str) -> None:
    here = site()
    line = here.pbx.add_line(f"{here.far.address}:5060", transport=Transport(transport))
    wait_until(lambda: line.statistics.registers_sent, 5.0, "a REGISTER to nobody")
    if transport == "tcp":
        failed = here.pbx.wait_event(LineRegisterFailed)
        assert failed.status == 0
        assert failed.retry_in_s == pytest.approx(2.0, rel=0.25)
        assert "cannot be reached" in failed.reason
    assert line.unusable_reason
    provider = here.kamailio()
    here.pbx.wait_event(LineRegisterSuccess, timeout_s=12.0)
    assert line.usable
    assert line.last_failure is None
    assert provider.wait_registered(ACCOUNT).uri.startswith("sip:")


def test_a_registration_is_refreshed_before_it_lapses_and_removed_at_the_end(site: StartSite) -> None:
    here = site()
    provider = here.kamailio(max_expires_s=2)
    line = here.pbx.add_line(provider.server)
    here.pbx.wait_line()
    registered_until = line.registered_until
    assert registered_until is not None
    provider.wait_registered(ACCOUNT)

    def refreshed() -> bool:
        assert provider.contacts(ACCOUNT), "the registration lapsed before it was refreshed"
        return line.statistics.registrations >= 4

    wait_until(refreshed, 10.0, "three refreshes")
    assert len([event for event in here.pbx.events if isinstance(event, LineRegisterSuccess)]) == 1
    here.pbx.stop()
    assert isinstance(here.pbx.events[-1], LineUnregisterSuccess)
    assert provider.contacts(ACCOUNT) == []
