"""A whole site: the server under test, a provider with its namespace, alice's and bob's phones, and a mobile behind the provider.

A test asks it for the programs that it wants at each end; each is started when it is asked for, by conftest.py's fixtures, and has been
registered when it is returned. When the site ends the server leaves first, while the provider can still hear it. Used by conftest.py's
`site` fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from peers import audio, baresip, linphone, sipp
from peers.baresip import Baresip
from peers.capture import Capture
from peers.kamailio import Kamailio, ProviderSettings
from peers.linphone import Linphone
from peers.mobile import NUMBER as MOBILE
from peers.mobile import Mobile
from peers.namespace import Namespace
from peers.party import MobileParty, Party, SippParty, Talker
from peers.pbx import ACCOUNT, ACCOUNT_PASSWORD, REALM, Pbx, password
from peers.sipp import Sipp

PHONE_HZ, BOB_HZ, MOBILE_HZ = 440.0, 700.0, 1000.0
HANDSET_PORT = 5080
DOMAIN = "itsp.example"


class Scene:
    """What is there of a site.

    Args:
        fixture: gives one of conftest.py's fixtures by name.
        pbx: the server.
        folder: for tones.
    """

    def __init__(self, fixture: Callable[[str], Any], pbx: Pbx, folder: Path) -> None:
        self._fixture, self.pbx, self._folder = fixture, pbx, folder
        self._far: Namespace | None = None
        self._phones: list[Baresip | Linphone] = []
        self.kamailios: list[Kamailio] = []

    def namespace(self, **how: Any) -> Namespace:
        """A new namespace for a phone."""
        made: Namespace = self._fixture("netns")(**how)
        return made

    def capture(self, inside: Namespace) -> Capture:
        """A capture of a namespace."""
        started: Capture = self._fixture("capture")(inside)
        return started

    # -- alice's side

    def phone(
        self, program: str, user: str = "alice", inside: Namespace | None = None, transport: str = "udp"
    ) -> Party:
        """A registered phone of a user, by the name of its program."""
        if program == "sipp":
            made = self.sipp(user, inside, transport)
            at = self.pbx.at(made.inside, transport)
            made.register(at)
            traffic, tone = self.capture(made.inside), self._mulaw(user, PHONE_HZ)
            return SippParty(made, traffic, at, tone, PHONE_HZ, dials="caller", answers="callee_hangs_up")
        return Talker((self.baresip if program == "baresip" else self.linphone)(user, inside, transport), PHONE_HZ)

    def baresip(
        self,
        user: str = "alice",
        inside: Namespace | None = None,
        transport: str = "udp",
        tone_hz: float = PHONE_HZ,
        **settings: Any,
    ) -> Baresip:
        """A registered baresip; settings as for its `Account`."""
        inside = inside or self.namespace()
        account = baresip.Account(
            user, password(user), self.pbx.at(inside, transport), domain=REALM, transport=transport, **settings
        )
        started: Baresip = self._fixture("baresip")(account, tone_hz, inside)
        self._phones.append(started)
        started.wait_registered()
        return started

    def linphone(
        self,
        user: str = "alice",
        inside: Namespace | None = None,
        transport: str = "udp",
        tone_hz: float = PHONE_HZ,
        **settings: Any,
    ) -> Linphone:
        """A registered linphonec; settings as for its `Account`."""
        inside = inside or self.namespace()
        account = linphone.Account(
            user, password(user), self.pbx.at(inside, transport), domain=REALM, transport=transport, **settings
        )
        started: Linphone = self._fixture("linphone")(account, tone_hz, inside)
        self._phones.append(started)
        started.wait_registered()
        return started

    def sipp(self, user: str = "alice", inside: Namespace | None = None, transport: str = "udp") -> Sipp:
        """SIPp as a phone, not registered."""
        account = sipp.Account(user, password(user), domain=REALM)
        made: Sipp = self._fixture("sipp")(account, inside or self.namespace(), transport=transport)
        return made

    def stop_phones(self) -> None:
        """End alice's and bob's programs, which unregister."""
        for phone in self._phones:
            phone.stop()

    # -- the provider's side

    @property
    def far(self) -> Namespace:
        """The provider's namespace. Mobiles are in it, too: nothing behind it can be reached from the server."""
        if self._far is None:
            self._far = self.namespace(forwards=True)
        return self._far

    def provider(self, next_hop: str | None = None, accounts: Mapping[str, str] | None = None, **line: Any) -> Kamailio:
        """Kamailio with the line registered there.

        Args:
            next_hop: where the calls to mobiles go; a mobile that is started later in the provider's namespace.
            accounts: further accounts there, and their passwords.
            line: options of the line.
        """
        started = self.kamailio(next_hop, accounts={ACCOUNT: ACCOUNT_PASSWORD, **(accounts or {})})
        self.pbx.add_line(started.server, **line)
        self.pbx.wait_line()
        return started

    def kamailio(self, next_hop: str | None = None, **settings: Any) -> Kamailio:
        """Kamailio by itself, with the line's account."""
        given = {"accounts": {ACCOUNT: ACCOUNT_PASSWORD}, "next_hop": next_hop or self._handset_uri}
        started: Kamailio = self._fixture("kamailio")(ProviderSettings(**(given | settings)), self.far)
        self.kamailios.append(started)
        return started

    def mobile(self, accounts: Mapping[str, str] | None = None, **line: Any) -> Mobile:
        """The test kit's mobile behind Kamailio, with the line registered there; arguments as for `provider`."""
        started = self.unconnected_mobile()
        provider = self.provider(started.uri, accounts, **line)
        started.network = provider.address, provider.mobile_port
        return started

    def unconnected_mobile(self) -> Mobile:
        """The test kit's mobile, whose `network` the test gives it."""
        started: Mobile = self._fixture("mobile")(self.far, MOBILE_HZ)
        return started

    def far_end(self, program: str, **line: Any) -> Party:
        """A mobile behind Kamailio by the name of its program, or `kit`; with the line registered there."""
        if program == "kit":
            return MobileParty(self.mobile(**line))
        provider = self.provider(**line)
        if program == "sipp":
            traffic, tone = self.capture(self.far), self._mulaw("mobile", MOBILE_HZ)
            scenarios = {"dials": "mobile_caller_hung_up_on", "answers": "callee"}
            return SippParty(self.handset(), traffic, provider.mobile_server, tone, MOBILE_HZ, **scenarios)
        account = (baresip if program == "baresip" else linphone).Account(
            MOBILE, "unused", provider.mobile_server, domain=DOMAIN, expires_s=0
        )
        return Talker(self._fixture(program)(account, MOBILE_HZ, self.far, sip_port=HANDSET_PORT), MOBILE_HZ)

    def handset(self) -> Sipp:
        """SIPp as the mobile behind Kamailio."""
        account = sipp.Account(MOBILE, "unused", domain=DOMAIN)
        made: Sipp = self._fixture("sipp")(account, self.far, port=HANDSET_PORT)
        return made

    @property
    def _handset_uri(self) -> str:
        return f"sip:{self.far.address}:{HANDSET_PORT}"

    def _mulaw(self, name: str, frequency_hz: float) -> Path:
        return audio.write_tone_mulaw(self._folder / f"{name}.ulaw", frequency_hz, 1.0)
