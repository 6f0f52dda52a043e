from __future__ import annotations

import hashlib

import pytest

from tests.server.recording import REALM, credentials, endpoint, request
from trunkline.constants import PeerType
from trunkline.errors import ConfigurationError, UnknownPeer
from trunkline.server.auth import Authenticator
from trunkline.server.users import User, Users
from trunkline.sip.endpoint import Codec, Credentials, RequestReceived

ALICE = User.with_password("alice", "secret", realm=REALM)


def proof(found: Credentials | None, method: str = "INVITE") -> RequestReceived:
    return request(method, f"sip:{REALM}", credentials=found)


def proves(users: Users, found: Credentials | None, *, algorithm: str = "MD5", method: str = "INVITE") -> User | None:
    above, _ = endpoint()
    return Authenticator(above, users, realm=REALM, algorithm=algorithm).proves(proof(found, method))


@pytest.fixture
def users() -> Users:
    users = Users()
    users.add(ALICE)
    return users


def test_a_password_is_kept_as_ha1_of_both_algorithms() -> None:
    text = f"alice:{REALM}:secret".encode()
    assert ALICE.ha1("MD5") == hashlib.md5(text).hexdigest()
    assert ALICE.ha1("SHA-256") == hashlib.sha256(text).hexdigest()
    assert ALICE.ha1("SHA-512") == ""


def test_a_repr_shows_neither() -> None:
    assert "secret" not in repr(ALICE)
    assert ALICE.ha1_md5 not in repr(ALICE)
    assert ALICE.ha1_sha256 not in repr(ALICE)


@pytest.mark.parametrize("name", ["", "a b", "a@b", "a:b", "a;b", "<a>", "a" * 129, "a\n"])
def test_a_name_is_what_a_user_part_can_be(name: str) -> None:
    with pytest.raises(ConfigurationError):
        User.with_password(name, "secret", realm=REALM)


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="lets everybody in"):
        User.with_password("alice", "", realm=REALM)


def test_limits_and_codecs_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="max_contacts"):
        User.with_password("alice", "x", realm=REALM, max_contacts=0)
    with pytest.raises(ConfigurationError, match="codecs"):
        User.with_password("alice", "x", realm=REALM, codecs=[])


def test_a_name_is_taken_once(users: Users) -> None:
    with pytest.raises(ConfigurationError, match="already"):
        users.add(ALICE)
    assert len(users) == 1


def test_a_removed_user_is_told_and_unknown(users: Users) -> None:
    removed: list[User] = []
    users.on_removed = removed.append
    assert users.remove("alice") is ALICE
    assert removed == [ALICE]
    with pytest.raises(UnknownPeer, match="no user alice"):
        users["alice"]
    with pytest.raises(UnknownPeer, match="no user alice"):
        users.remove("alice")
    assert users.find("alice") is None
    assert users.find(None) is None


def test_a_record_says_the_same_without_the_password() -> None:
    user = User.with_password(
        "carol",
        "pw",
        realm=REALM,
        display_name="Carol",
        codecs=[Codec("opus", 48000, 2, fmtp="x=1")],
        media_timeout_s=7.5,
        numbers=["15551234"],
        reliable="required",
        srtp="offered",
        srtp_in_clear=True,
        stored=True,
    )
    again = User.of_record(user.record())
    assert again == user
    assert again.codecs[0].fmtp == "x=1"
    assert again.party().reliable == "required"
    assert (again.party().srtp, again.party().srtp_in_clear) == ("offered", True)


def test_a_user_is_a_party() -> None:
    party = ALICE.party(nat=True)
    assert (party.peer_type, party.name, party.nat, party.codecs) == (PeerType.USER, "alice", True, ALICE.codecs)
    assert party.credentials is None


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_the_right_password_proves_its_user(users: Users, algorithm: str) -> None:
    assert proves(users, credentials("alice", "secret", "INVITE", algorithm=algorithm), algorithm=algorithm) is ALICE


def test_nothing_else_does(users: Users) -> None:
    assert proves(users, None) is None
    assert proves(users, credentials("alice", "wrong", "INVITE")) is None
    assert proves(users, credentials("bob", "secret", "INVITE")) is None
    assert proves(users, credentials("alice", "secret", "INVITE", realm="other.example")) is None
    assert proves(users, credentials("alice", "secret", "INVITE", algorithm="SHA-256")) is None
    assert proves(users, credentials("alice", "secret", "INVITE"), method="REGISTER") is None


def test_a_user_of_another_realm_is_unknown() -> None:
    users = Users()
    users.add(User.with_password("alice", "secret", realm="other.example"))
    assert proves(users, credentials("alice", "secret", "INVITE")) is None


@pytest.mark.parametrize(("name", "in_realm"), [("nobody", REALM), ("alice", "other.example")])
def test_who_cannot_be_verified_costs_the_same_arithmetic(users: Users, name: str, in_realm: str) -> None:
    verified: list[str] = []

    class Counting:
        username = name
        realm = in_realm
        algorithm = "MD5"

        def verify(self, ha1: str, method: str) -> bool:
            verified.append(ha1)
            return True  # even if the decoy were guessed

    assert proves(users, Counting()) is None  # type: ignore[arg-type]
    assert len(verified[0]) == 32
