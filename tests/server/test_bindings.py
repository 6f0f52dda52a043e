from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.server.bindings import Binding, BindingTable, OutOfOrder, Wanted
from trunkline.sip.dialog import next_hop
from trunkline.sip.endpoint import Flow, Uri

PHONE = Flow("udp", ("192.0.2.7", 5060), ("192.0.2.1", 5060))


def origin(now: float = 0.0, call_id: str = "c", cseq: int = 1, flow: Flow = PHONE, nat: bool = False) -> Binding:
    return Binding("alice", Uri.parse("sip:alice@x"), "", 1.0, call_id, cseq, now, now, flow, nat=nat)


def wanted(host: str, expires_s: float = 60.0, instance: str = "", q: float = 1.0) -> Wanted:
    return Wanted(Uri.parse(f"sip:alice@{host}"), expires_s, q, instance)


def hosts(bindings: list[Binding]) -> list[str]:
    return [binding.uri.host for binding in bindings]


def test_a_binding_lasts_until_its_expiry_and_no_longer() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("a", 60)], origin(now=100), maximum=5)
    assert hosts(table.of("alice", 159.9)) == ["a"]
    assert table.of("alice", 160.0) == []


def test_equal_addresses_are_one_binding() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("a")], origin(), maximum=5)
    outcome = table.apply("alice", [wanted("A")], origin(now=1, cseq=2), maximum=5)
    assert (len(outcome.refreshed), len(outcome.added), len(table)) == (1, 0, 1)


def test_an_older_cseq_of_the_same_call_id_changes_nothing() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("a"), wanted("b")], origin(cseq=5), maximum=5)
    with pytest.raises(OutOfOrder):
        table.apply("alice", [wanted("new"), wanted("a", 0)], origin(now=1, cseq=5), maximum=5)
    assert sorted(hosts(table.of("alice", 2))) == ["a", "b"]


def test_another_call_id_is_a_phone_that_restarted() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("a")], origin(cseq=900), maximum=5)
    outcome = table.apply("alice", [wanted("a")], origin(now=1, call_id="d", cseq=1), maximum=5)
    assert hosts(outcome.refreshed) == ["a"]


def test_the_same_instance_replaces_its_old_address() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("old", instance="<urn:uuid:1>")], origin(), maximum=5)
    outcome = table.apply("alice", [wanted("new", instance="<urn:uuid:1>")], origin(now=1, call_id="d"), maximum=5)
    assert hosts(outcome.replaced) == ["old"]
    assert hosts(table.of("alice", 2)) == ["new"]


def test_two_phones_behind_two_nats_may_have_one_private_address() -> None:
    table = BindingTable()
    other = Flow("udp", ("198.51.100.1", 5060))
    table.apply("alice", [wanted("10.0.0.2", instance="1")], origin(nat=True), maximum=5)
    table.apply("alice", [wanted("10.0.0.2", instance="2")], origin(call_id="d", flow=other, nat=True), maximum=5)
    assert len(table.of("alice", 1)) == 2


def test_the_oldest_goes_at_the_maximum() -> None:
    table = BindingTable()
    for number, host in enumerate(["a", "b", "c"]):
        table.apply("alice", [wanted(host)], origin(now=number, call_id=host), maximum=3)
    table.apply("alice", [wanted("a")], origin(now=4, call_id="a", cseq=2), maximum=3)
    outcome = table.apply("alice", [wanted("d")], origin(now=5, call_id="d"), maximum=3)
    assert hosts(outcome.evicted) == ["b"]
    assert sorted(hosts(table.of("alice", 6))) == ["a", "c", "d"]


def test_the_preferred_contact_comes_first_and_among_equals_the_newest() -> None:
    table = BindingTable()
    contacts = [wanted("low", q=0.1), wanted("old"), wanted("new")]
    table.apply("alice", contacts, origin(), maximum=5)
    assert hosts(table.of("alice", 1)) == ["new", "old", "low"]


def test_of_one_contact_named_twice_the_last_counts() -> None:
    table = BindingTable()
    outcome = table.apply("alice", [wanted("a", 60), wanted("a", 90)], origin(), maximum=5)
    assert [binding.expires_at for binding in outcome.added] == [90]
    assert len(table) == 1


def test_a_lost_connection_takes_what_was_reached_over_it() -> None:
    table = BindingTable()
    stream = Flow("tcp", ("192.0.2.7", 40000), ("192.0.2.1", 5060), 7)
    table.apply("alice", [wanted("a")], origin(flow=stream, nat=True), maximum=5)
    table.apply("alice", [wanted("b")], origin(call_id="d"), maximum=5)
    table.apply("bob", [wanted("c")], dataclasses.replace(origin(flow=stream, nat=True), user="bob"), maximum=5)
    assert sorted(hosts(table.drop_connection(7))) == ["a", "c"]
    assert hosts(table.of("alice", 1)) == ["b"]
    assert table.drop_connection(7) == []


@pytest.mark.parametrize(("port", "stays"), [(5060, True), (40000, False)])
def test_a_phone_that_connects_from_the_port_that_it_listens_on_stays(port: int, stays: bool) -> None:
    table = BindingTable()
    stream = Flow("tcp", ("192.0.2.7", port), ("192.0.2.1", 5060), 7)
    table.apply("alice", [wanted(f"192.0.2.7:{port}")], origin(flow=stream), maximum=5)
    assert (table.drop_connection(7) == []) is stays


def test_a_lost_connection_leaves_what_can_be_connected_to() -> None:
    table = BindingTable()
    stream = Flow("tcp", ("192.0.2.7", 40000), ("192.0.2.1", 5060), 7)
    behind_a_proxy = dataclasses.replace(origin(call_id="d", flow=stream), path=("<sip:192.0.2.7:5070;lr>",))
    own_port = wanted("192.0.2.7:40000")  # the connection's: nobody listens there
    table.apply("alice", [wanted("192.0.2.7"), own_port], origin(flow=stream), maximum=5)
    table.apply("alice", [wanted("10.0.0.1")], behind_a_proxy, maximum=5)
    assert [binding.uri.port for binding in table.drop_connection(7)] == [40000]
    assert {binding.uri.host: binding.flow for binding in table.of("alice", 1)} == {
        "192.0.2.7": Flow("tcp", ("192.0.2.7", 5060)),
        "10.0.0.1": Flow("tcp", ("192.0.2.7", 5070)),
    }
    assert table.drop_connection(7) == []


def test_what_is_restored_doubles_nothing_and_replaces_nothing_newer() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("a")], origin(now=10), maximum=5)
    (standing,) = table.of("alice", 11)
    assert not table.restore(dataclasses.replace(standing, updated_at=5.0, expires_at=65.0))
    assert not table.restore(standing)
    assert table.of("alice", 11) == [standing]
    newer = dataclasses.replace(standing, updated_at=12.0, expires_at=80.0)
    assert table.restore(newer)
    assert table.of("alice", 13) == [newer]
    assert table.restore(dataclasses.replace(newer, uri=Uri.parse("sip:alice@b")))
    assert len(table) == 2


def test_a_phone_that_can_be_connected_to_anew_outlasts_its_connection() -> None:
    table = BindingTable()
    stream = Flow("tcp", ("192.0.2.7", 40000), ("192.0.2.1", 5060), 7)
    table.apply("alice", [wanted("192.0.2.7"), wanted("a")], origin(flow=stream), maximum=5)
    assert hosts(table.drop_connection(7)) == ["a"]
    (binding,) = table.of("alice", 1)
    assert (binding.uri.host, binding.flow) == ("192.0.2.7", Flow("tcp", ("192.0.2.7", 5060)))
    assert next_hop(binding.uri, binding.flow) == Flow("tcp", ("192.0.2.7", 5060))


def test_clear_keeps_everything_when_one_binding_is_newer() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("a")], origin(cseq=1), maximum=5)
    table.apply("alice", [wanted("b")], origin(cseq=9), maximum=5)
    with pytest.raises(OutOfOrder):
        table.clear("alice", "c", 5, now=1)
    assert len(table.of("alice", 1)) == 2
    assert len(table.clear("alice", "c", 10, now=1).removed) == 2


def test_lapses_are_told_once() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("a", 60), wanted("b", 90)], origin(), maximum=5)
    assert table.next_lapse == 60
    assert hosts(table.drop_lapsed(59)) == []
    assert hosts(table.drop_lapsed(60)) == ["a"]
    assert hosts(table.drop_lapsed(1000)) == ["b"]
    assert table.next_lapse is None


def test_a_refresh_puts_the_lapse_off() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("a", 60)], origin(), maximum=5)
    table.apply("alice", [wanted("a", 60)], origin(now=30, cseq=2), maximum=5)
    assert table.drop_lapsed(60) == []
    assert hosts(table.drop_lapsed(90)) == ["a"]


def test_a_flow_is_kept_while_any_nat_binding_uses_it() -> None:
    table = BindingTable()
    table.apply("alice", [wanted("a"), wanted("b")], origin(nat=True), maximum=5)
    table.apply("alice", [wanted("a", 0)], origin(now=1, cseq=2, nat=True), maximum=5)
    assert table.reached_over(PHONE)
    table.apply("alice", [wanted("b", 0)], origin(now=2, cseq=3, nat=True), maximum=5)
    assert not table.reached_over(PHONE)


REGISTERS = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob"]),
        st.lists(
            st.tuples(
                st.sampled_from("abcdef"), st.sampled_from([0, 1, 30, 60]), st.sampled_from(["", "", "i1", "i2"])
            ),
            max_size=4,
        ),
        st.sampled_from(["c1", "c2"]),
        st.integers(1, 20),
        st.integers(0, 40),
        st.sampled_from([0, 3, 4]),
    ),
    max_size=25,
)


@given(REGISTERS, st.integers(1, 4))
def test_whatever_is_registered_the_table_stays_sound(
    registers: list[tuple[str, list[tuple[str, int, str]], str, int, int, int]], maximum: int
) -> None:
    table, now = BindingTable(), 0
    for user, contacts, call_id, cseq, wait, connection in registers:
        now += wait
        table.drop_lapsed(now)
        before = table.of(user, now)
        flow = Flow("tcp", ("192.0.2.7", 1), None, connection)
        common = dataclasses.replace(origin(now, call_id, cseq, flow, nat=connection == 3), user=user)
        try:
            outcome = table.apply(
                user, [wanted(host, expires, instance) for host, expires, instance in contacts], common, maximum=maximum
            )
        except OutOfOrder:
            assert table.of(user, now) == before
            continue
        after = table.of(user, now)
        assert len(after) <= maximum
        assert len({binding.uri for binding in after}) == len(after)
        instances = [binding.instance for binding in after if binding.instance]
        assert len(set(instances)) == len(instances)
        assert all(binding.expires_at > now for binding in table)
        changed = [*outcome.added, *outcome.refreshed]
        assert all(binding in after for binding in changed)
        assert not any(binding in after for binding in (*outcome.gone, *outcome.superseded))
        assert table.reached_over(flow) == any(b.nat and b.flow == flow for b in table)
    table.drop_connection(3)
    assert all(binding.flow.connection != 3 for binding in table)
    table.drop_connection(4)
    standing = len(table)
    assert len(table.drop_lapsed(now + 1000)) == standing
    assert len(table) == 0
    assert table.next_lapse is None
