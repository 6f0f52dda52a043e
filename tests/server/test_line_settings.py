from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from trunkline.constants import Transport
from trunkline.errors import ConfigurationError
from trunkline.server.line_settings import LineSettings, split_host
from trunkline.server.numbers import NumberRule
from trunkline.sip.endpoint import Codec

PLAIN = LineSettings("itsp", "15551234", "sip.itsp.example", "s3cret")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sip.example", ("sip.example", None)),
        ("sip.example:5080", ("sip.example", 5080)),
        ("[2001:db8::1]:5080", ("2001:db8::1", 5080)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("2001:db8::1", ("2001:db8::1", None)),
    ],
)
def test_host_and_port_are_told_apart(text: str, parts: tuple[str, int | None]) -> None:
    assert split_host(text) == parts
    assert dataclasses.replace(PLAIN, server=text).next_hop == parts


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", ""),
        ("name", "a b"),
        ("username", ""),
        ("server", ""),
        ("server", "sip:itsp.example"),
        ("server", "itsp.example:"),
        ("server", "itsp.example:99999"),
        ("outbound_proxy", "a b"),
        ("expires_s", 1),
        ("codecs", ()),
        ("max_calls", 0),
        ("token_in", "header"),
        ("from_user", "me"),
        ("accept_from", ("198.51.100.0/40",)),
        ("accept_from", ("everywhere",)),
        ("ping_interval_s", -1.0),
        ("ping_interval_s", 0.5),
        ("ping_interval_s", 3_601.0),
        ("ping_down_after", 0),
        ("ping_up_after", 0),
    ],
)
def test_what_cannot_work_names_its_key(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        dataclasses.replace(PLAIN, **{key: value})  # type: ignore[arg-type]
    assert caught.value.key.endswith(f".{key}")


def test_the_domain_is_the_server_unless_said_otherwise() -> None:
    assert dataclasses.replace(PLAIN, server="a.example:5080").aor_domain == "a.example"
    assert dataclasses.replace(PLAIN, server="a.example:5080").domain_port == 5080
    other = dataclasses.replace(PLAIN, server="a.example:5080", domain="b.example")
    assert (other.aor_domain, other.domain_port) == ("b.example", None)


def test_requests_go_to_the_outbound_proxy() -> None:
    assert dataclasses.replace(PLAIN, outbound_proxy="p.example:5070").next_hop == ("p.example", 5070)


def test_anywhere_is_every_address_and_said_so() -> None:
    line = dataclasses.replace(PLAIN, accept_from=("anywhere", "198.51.100.0/24"))
    assert [str(network) for network in line.networks] == ["0.0.0.0/0", "::/0", "198.51.100.0/24"]
    assert line.catches_all
    assert not dataclasses.replace(PLAIN, accept_from=("198.51.100.0/24",)).catches_all


def test_a_record_says_the_same_and_keeps_the_password_apart() -> None:
    full = dataclasses.replace(
        PLAIN, transport=Transport.TCP, accept_from=("198.51.100.0/24",), numbers=("+1555", "1556"), stored=True,
        codecs=(Codec("opus", 48000, 2, fmtp="useinbandfec=1"),), max_calls=4, token_in="parameter", privacy=True,
    )  # fmt: skip
    assert LineSettings.of_record(PLAIN.record()).transport is None
    record = full.record()
    assert "s3cret" not in str(record.settings)
    again = LineSettings.of_record(record)
    assert again == full
    assert again.codecs[0].fmtp == "useinbandfec=1"


def test_a_setting_of_a_later_version_in_the_store_is_passed_over() -> None:
    record = PLAIN.record()
    again = LineSettings.of_record(dataclasses.replace(record, settings={**record.settings, "teleport": True}))
    assert again.username == "15551234"


def test_a_repr_shows_no_password() -> None:
    assert "s3cret" not in repr(PLAIN)


IDENTITY: dict[str, Any] = {
    "country": "DE",
    "dialled_out": (NumberRule(prefix="0", strip=1, prepend="+49"), NumberRule(format="e164")),
    "caller_ids_in": (NumberRule(pattern=r"\d+"),),
    "caller_id_from": ("from",),
    "headers_passed": ("User-to-User",),
    "headers_added": ("X-Account: 7",),
    "headers_removed": ("Diversion",),
}


def test_number_and_header_rules_survive_the_store() -> None:
    settings = dataclasses.replace(PLAIN, stored=True, **IDENTITY)
    record = settings.record()
    kept = dataclasses.replace(record, settings=json.loads(json.dumps(record.settings)))
    assert LineSettings.of_record(kept) == settings


def test_a_rule_in_the_store_that_is_none_any_more_is_told() -> None:
    record = dataclasses.replace(PLAIN, stored=True).record()
    broken = dataclasses.replace(record, settings={**record.settings, "dialled_in": [{"format": "old"}]})
    with pytest.raises(ConfigurationError, match=r"lines.itsp: format"):
        LineSettings.of_record(broken)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("country", "XX"),
        ("anonymous_from", "nobody"),
        ("anonymous_identity", "some"),
        ("forwarding_header", "both"),
        ("dialled_from", "from"),
        ("caller_id_from", ("contact",)),
        ("headers_passed", ("Via",)),
        ("headers_passed", ("P-Asserted-Identity",)),
        ("headers_added", ("X-Account 7",)),
        ("headers_added", ("X-A: b\r\nVia: c",)),
        ("headers_removed", ("Contact",)),
    ],
)
def test_a_wrong_identity_setting_is_named(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"lines\.itsp\.{key}"):
        dataclasses.replace(PLAIN, **_one(key, value))


def _one(key: str, value: object) -> dict[str, Any]:
    return {key: value}
