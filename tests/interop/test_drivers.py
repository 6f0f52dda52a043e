"""The drivers and the provider's configuration hold without trunkline: real programs call each other through Kamailio.

If a test here fails, a failure of another interop test says nothing about trunkline.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from peers import audio, baresip, linphone, sipp
from peers.fixtures import MakeNamespace, MakeSipp, StartBaresip, StartCapture, StartLinphone, StartProvider
from peers.kamailio import Kamailio, ProviderSettings
from peers.process import PeerError, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(30)]

ALICE_HZ, BOB_HZ = 440.0, 1000.0
ACCOUNTS = ProviderSettings(accounts={"alice": "a-secret", "bob": "b-secret"}, numbers={"15551234": "bob"})
SIPP_RTP_PORT = 6000


@pytest.fixture
def provider(kamailio: StartProvider) -> Kamailio:
    return kamailio(ACCOUNTS)


def is_tone(recording: audio.Recording, frequency_hz: float) -> bool:
    tone = audio.measure(recording)
    return abs(tone.frequency_hz - frequency_hz) < 10 and tone.purity > 0.9 and -16 < tone.level_dbfs < -7


# -- baresip


def test_baresip_calls_baresip_and_each_hears_the_other(provider: Kamailio, baresip: StartBaresip) -> None:
    alice, bob = _two_baresips(provider, baresip)
    alice.dial("15551234")
    bob.wait_incoming()
    bob.answer()
    alice.wait_established()
    assert is_tone(alice.wait_heard(0.5), BOB_HZ)
    assert is_tone(bob.wait_heard(0.5), ALICE_HZ)
    alice.hangup()
    bob.wait_closed()


def test_baresip_hold_silences_the_caller_until_resume(
    provider: Kamailio, baresip: StartBaresip, capture: StartCapture
) -> None:
    alice, bob = _two_baresips(provider, baresip)
    traffic = capture(bob.inside)
    alice.dial("bob")
    bob.wait_incoming()
    bob.answer()
    alice.wait_established()
    alice.wait_heard(0.5)
    alice.hold()
    traffic.wait_sip(r"^m=audio (?s:.*)^a=sendonly", to=bob.inside.address)
    traffic.wait_silent(alice.inside.address, 0.3)
    packets_before = len(traffic.rtp())
    alice.resume()
    traffic.wait_sip(r"^a=sendonly(?s:.*)^a=sendrecv", to=bob.inside.address)
    wait_until(lambda: len(traffic.rtp()) > packets_before + 20, 5.0, "sound again")
    bob.hangup()
    alice.wait_closed()


def test_baresip_gives_up_and_refuses(provider: Kamailio, baresip: StartBaresip) -> None:
    alice, bob = _two_baresips(provider, baresip)
    alice.dial("bob")
    bob.wait_incoming()
    alice.hangup()
    bob.wait_closed()
    alice.wait_closed()
    alice.dial("bob")
    bob.wait_incoming()
    bob.hangup()
    assert alice.wait_closed().parameter.startswith("486")


def test_baresip_with_a_wrong_password_is_not_registered(provider: Kamailio, baresip: StartBaresip) -> None:
    alice = baresip(_baresip_account(provider, "alice", "wrong"), ALICE_HZ, uplink=provider.inside)
    with pytest.raises(PeerError, match="was not registered: 401"):
        alice.wait_registered()
    assert provider.contacts("alice") == []


def test_baresip_unregisters_and_registers_again_over_tcp(provider: Kamailio, baresip: StartBaresip) -> None:
    account = _baresip_account(provider, "alice", "a-secret", transport="tcp")
    alice = baresip(account, ALICE_HZ, uplink=provider.inside)
    alice.wait_registered()
    assert "transport=tcp" in provider.wait_registered("alice").uri
    alice.unregister()
    provider.wait_unregistered("alice")
    alice.register()
    provider.wait_registered("alice")


def _baresip_account(provider: Kamailio, user: str, password: str, transport: str = "udp") -> baresip.Account:
    return baresip.Account(user, password, provider.server, transport=transport)


def _two_baresips(provider: Kamailio, start: StartBaresip) -> tuple[baresip.Baresip, baresip.Baresip]:
    alice = start(_baresip_account(provider, "alice", "a-secret"), ALICE_HZ, uplink=provider.inside)
    bob = start(_baresip_account(provider, "bob", "b-secret"), BOB_HZ, uplink=provider.inside)
    alice.wait_registered()
    bob.wait_registered()
    return alice, bob


# -- linphone


def test_linphone_and_baresip_call_each_other_hold_and_hang_up(
    provider: Kamailio, linphone: StartLinphone, baresip: StartBaresip
) -> None:
    alice, bob = _linphone_and_baresip(provider, linphone, baresip)
    alice.dial("bob")
    bob.wait_incoming()
    alice.wait_ringing()
    bob.answer()
    alice.wait_established()
    assert is_tone(alice.wait_heard(0.5), BOB_HZ)
    assert is_tone(bob.wait_heard(0.5), ALICE_HZ)
    alice.hold()
    alice.resume()
    bob.hold()
    alice.wait_held()
    bob.resume()
    alice.wait_resumed()
    bob.hangup()
    assert alice.wait_closed() == "No error"
    bob.dial("alice")
    alice.wait_incoming()
    alice.answer()
    bob.wait_established()
    alice.hangup()
    bob.wait_closed()


def test_linphone_gives_up_and_is_refused(provider: Kamailio, linphone: StartLinphone, baresip: StartBaresip) -> None:
    alice, bob = _linphone_and_baresip(provider, linphone, baresip)
    alice.dial("bob")
    bob.wait_incoming()
    alice.wait_ringing()
    alice.hangup()
    bob.wait_closed()
    assert alice.wait_closed() == "No error"
    alice.dial("bob")
    bob.wait_incoming()
    bob.hangup()
    assert alice.wait_closed() == "error"
    assert alice.statuses()[-1] == 486


def test_linphone_reports_a_digit(provider: Kamailio, linphone: StartLinphone, baresip: StartBaresip) -> None:
    alice, bob = _linphone_and_baresip(provider, linphone, baresip)
    bob.dial("alice")
    alice.wait_incoming()
    alice.answer()
    bob.wait_established()
    bob.dtmf("7")
    assert alice.wait_digit() == "7"


def test_linphone_with_a_wrong_password_is_not_registered(provider: Kamailio, linphone: StartLinphone) -> None:
    account = _linphone_account(provider, "alice", "wrong")
    alice = linphone(account, ALICE_HZ, uplink=provider.inside)
    with pytest.raises(PeerError, match="was not registered"):
        alice.wait_registered()
    assert provider.contacts("alice") == []


def test_linphone_unregisters_and_registers_again_over_tcp(provider: Kamailio, linphone: StartLinphone) -> None:
    account = _linphone_account(provider, "alice", "a-secret", transport="tcp")
    alice = linphone(account, ALICE_HZ, uplink=provider.inside)
    alice.wait_registered()
    assert "transport=tcp" in provider.wait_registered("alice").uri
    alice.unregister()
    provider.wait_unregistered("alice")
    alice.register()
    alice.wait_registered()


def _linphone_account(provider: Kamailio, user: str, password: str, transport: str = "udp") -> linphone.Account:
    return linphone.Account(user, password, provider.server, transport=transport)


def _linphone_and_baresip(
    provider: Kamailio, start_linphone: StartLinphone, start_baresip: StartBaresip
) -> tuple[linphone.Linphone, baresip.Baresip]:
    alice = start_linphone(_linphone_account(provider, "alice", "a-secret"), ALICE_HZ, uplink=provider.inside)
    bob = start_baresip(_baresip_account(provider, "bob", "b-secret"), BOB_HZ, uplink=provider.inside)
    alice.wait_registered()
    bob.wait_registered()
    return alice, bob


# -- SIPp


@pytest.mark.parametrize(
    ("caller", "callee"),
    [
        ("caller", "callee"),
        ("caller", "callee_late"),
        ("caller_early", "callee_early"),
        ("caller_hung_up_on", "callee_hangs_up"),
        ("caller_holds", "callee_held"),
        ("caller_held", "callee_holds"),
        ("caller_refused", "callee_refuses"),
        ("caller_cancels", "callee_rings"),
        ("caller_cancels_late", "callee_answers_cancel"),
        ("caller_vanishes", "callee_vanishes"),
    ],
)
def test_sipp_scenarios_fit_each_other(provider: Kamailio, sipp: MakeSipp, caller: str, callee: str) -> None:
    alice, bob = _two_sipps(provider, sipp)
    answering = bob.start(callee, provider.server, pause_ms=100)
    calling = alice.run(caller, provider.server, dials="bob", pause_ms=100)
    assert calling.successful == answering.wait_successful().successful == 1
    assert calling.retransmissions == 0


def test_sipp_plays_a_tone_and_gets_it_back_as_an_echo(
    provider: Kamailio, sipp: MakeSipp, capture: StartCapture, tmp_path: Path
) -> None:
    alice, bob = _two_sipps(provider, sipp)
    traffic = capture(bob.inside)
    tone = audio.write_tone_mulaw(tmp_path / "tone.ulaw", ALICE_HZ, 1.0)
    answering = bob.start("callee", provider.server, echo=True)
    alice.run("caller", provider.server, dials="bob", pause_ms=700, tone=tone)
    answering.wait_successful()
    there, back = traffic.streams()
    assert there.target == (bob.address, SIPP_RTP_PORT)
    assert is_tone(traffic.heard(there.target), ALICE_HZ)
    assert is_tone(traffic.heard(back.target), ALICE_HZ)
    assert there.lost == back.lost == 0
    assert there.received > 20


def test_sipp_calls_over_tcp(provider: Kamailio, sipp: MakeSipp) -> None:
    alice, bob = _two_sipps(provider, sipp, transport="tcp")
    answering = bob.start("callee", provider.server)
    alice.run("caller", provider.server, dials="bob", pause_ms=100)
    answering.wait_successful()


def test_sipp_places_fifty_calls_at_once_and_no_packet_is_lost(
    provider: Kamailio, sipp: MakeSipp, capture: StartCapture, tmp_path: Path
) -> None:
    alice, bob = _two_sipps(provider, sipp)
    traffic = capture(bob.inside)
    tone = audio.write_tone_mulaw(tmp_path / "tone.ulaw", ALICE_HZ, 1.0)
    answering = bob.start("callee", provider.server, calls=50, tone=tone)
    calling = alice.run("caller", provider.server, dials="bob", calls=50, rate=50, pause_ms=1500, tone=tone)
    assert calling.successful == answering.wait_successful().successful == 50
    streams = traffic.streams()
    assert len(streams) == 100
    assert sum(stream.lost for stream in streams) == 0
    assert min(stream.received for stream in streams) > 50


def test_sipp_with_a_wrong_password_is_refused(provider: Kamailio, sipp: MakeSipp) -> None:
    eve = sipp(sipp_account(provider, "alice", "wrong"), uplink=provider.inside)
    eve.run("register_refused", provider.server, status=401)
    assert provider.contacts("alice") == []


def test_sipp_run_that_leaves_its_scenario_is_reported(provider: Kamailio, sipp: MakeSipp) -> None:
    alice, _ = _two_sipps(provider, sipp)
    result = alice.start("caller", provider.server, dials="nobody-there").wait()
    assert (result.exit_code, result.successful, result.failed) == (1, 0, 1)
    assert "404" in result.errors


def test_sipp_as_a_registrar_and_a_provider_judges_passwords(netns: MakeNamespace, sipp: MakeSipp) -> None:
    between = netns(forwards=True)
    itsp = sipp(sipp_itsp("a-secret"), uplink=between)
    alice, eve = (sipp(sipp_itsp(password), uplink=between) for password in ("a-secret", "wrong"))
    for party, scenario, status in ((alice, "register", 200), (eve, "register_refused", 403)):
        registrar = itsp.start("registrar", itsp.server)
        party.run(scenario, itsp.server, status=status)
        registrar.wait_successful()
    for party, scenario, status in ((alice, "caller", 200), (eve, "caller_refused", 403)):
        provider = itsp.start("provider", itsp.server)
        party.run(scenario, itsp.server, dials="15550100", status=status, challenge=401)
        provider.wait_successful()


def test_sipp_as_the_mobile_network_calls_an_account_unchallenged(provider: Kamailio, sipp: MakeSipp) -> None:
    _, bob = _two_sipps(provider, sipp)
    mobile = sipp(sipp_account(provider, "15550100", "none"), uplink=provider.inside)
    for caller, callee in (("mobile_caller", "callee"), ("mobile_caller_cancels", "callee_rings")):
        answering = bob.start(callee, provider.server)
        mobile.run(caller, provider.mobile_server, dials="15551234", pause_ms=100)
        answering.wait_successful()


def sipp_account(provider: Kamailio, user: str, password: str) -> sipp.Account:
    return sipp.Account(user, password, domain=provider.address)


def sipp_itsp(password: str) -> sipp.Account:
    return sipp.Account("alice", password, domain="itsp.example")


def _two_sipps(provider: Kamailio, make: MakeSipp, transport: str = "udp") -> tuple[sipp.Sipp, sipp.Sipp]:
    alice = make(sipp_account(provider, "alice", "a-secret"), uplink=provider.inside, transport=transport)
    bob = make(sipp_account(provider, "bob", "b-secret"), uplink=provider.inside, transport=transport)
    bob.register(provider.server)
    return alice, bob
