from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.server.rate import SourceRate


def test_a_source_has_its_burst_and_then_its_rate() -> None:
    rate = SourceRate(2.0, 3)
    assert [rate.allows("192.0.2.7", 10.0) for _ in range(5)] == [True, True, True, False, False]
    assert [rate.allows("192.0.2.7", 10.5) for _ in range(2)] == [True, False]
    assert [rate.allows("192.0.2.7", 99.0) for _ in range(4)] == [True, True, True, False]


def test_sources_do_not_share() -> None:
    rate = SourceRate(1.0, 1)
    assert rate.allows("192.0.2.7", 0.0)
    assert rate.allows("192.0.2.8", 0.0)
    assert not rate.allows("192.0.2.7", 0.0)


def test_the_addresses_of_one_ipv6_subscriber_are_one_source() -> None:
    rate = SourceRate(1.0, 1)
    assert rate.allows("2001:db8:0:1::1", 0.0)
    assert not rate.allows("2001:db8:0:1:ffff::2", 0.0)
    assert rate.allows("2001:db8:0:2::1", 0.0)
    assert rate.allows("::ffff:192.0.2.7", 0.0)
    assert not rate.allows("192.0.2.7", 0.0)


def test_the_source_that_asked_longest_ago_is_forgotten() -> None:
    rate = SourceRate(0.001, 1, max_sources=2)
    assert rate.allows("192.0.2.1", 0.0)
    assert rate.allows("192.0.2.2", 1.0)
    assert not rate.allows("192.0.2.1", 2.0)
    assert rate.allows("192.0.2.3", 3.0)
    assert not rate.allows("192.0.2.1", 4.0)
    assert rate.allows("192.0.2.2", 5.0)


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 2)), max_size=200))
def test_whoever_asks_the_table_is_bounded_and_no_source_gets_more_than_its_share(
    asked: list[tuple[int, float]],
) -> None:
    rate, now, granted = SourceRate(5.0, 4, max_sources=40), 0.0, dict[int, int]()
    for source, wait_s in asked:
        now += wait_s
        granted[source] = granted.get(source, 0) + rate.allows(f"192.0.2.{source}", now)
    assert len(rate) <= 40
    assert all(count <= 4 + 5 * now + 1e-6 for count in granted.values())
