"""Codecs by name: what a list of names offers."""

from __future__ import annotations

import pytest

from trunkline.errors import ConfigurationError
from trunkline.server.codecs import codecs_named
from trunkline.sip.endpoint import Codec


def test_names_in_any_case_give_codecs_in_their_order_and_events() -> None:
    named = codecs_named(["OPUS", "g722", "Pcma"])
    assert [codec.name for codec in named[:3]] == ["opus", "G722", "PCMA"]
    assert named[3:] == (
        Codec("telephone-event", 48_000, fmtp="0-16"),
        Codec("telephone-event", 8000, fmtp="0-16"),
    )


@pytest.mark.parametrize(
    ("names", "clocks"), [(["PCMU"], [8000]), (["opus"], [48_000]), (["L16", "PCMU"], [16_000, 8000])]
)
def test_each_clock_has_its_events(names: list[str], clocks: list[int]) -> None:
    events = [codec.clock_rate for codec in codecs_named(names) if codec.name == "telephone-event"]
    assert events == clocks


@pytest.mark.parametrize(
    ("names", "clocks"),
    [(["PCMU"], []), (["cn", "PCMU", "PCMA"], [8000]), (["L16", "PCMU", "CN"], [16_000, 8000]), (["opus", "CN"], [])],
)
def test_comfort_noise_is_there_where_it_is_named_for_the_codecs_that_it_fits(
    names: list[str], clocks: list[int]
) -> None:
    assert [codec.clock_rate for codec in codecs_named(names) if codec.name == "CN"] == clocks


def test_comfort_noise_alone_is_no_codec() -> None:
    with pytest.raises(ConfigurationError, match="at least one codec"):
        codecs_named(["CN"])


@pytest.mark.parametrize(
    ("name", "rate"), [("l16", 16000), ("L16/8000", 8000), ("l16/24000", 24000), ("l16/32000", 32000)]
)
def test_l16_may_name_its_rate(name: str, rate: int) -> None:
    assert codecs_named([name])[0] == Codec("L16", rate)


def test_repeats_are_asked_for_in_opus() -> None:
    assert codecs_named(["opus"])[0].fmtp == "useinbandfec=1"
