"""The real endpoint over UDP and TCP of the loopback interface: what goes in, what comes back, and from where."""

from __future__ import annotations

import errno
import gc
import selectors
import socket
from contextlib import closing

import pytest

from _trunkline import (
    Flow,
    FlowClosed,
    FlowOpened,
    Listener,
    PrackReceived,
    RequestReceived,
    ResponseReceived,
    Shed,
    SipEndpoint,
    TransportFailed,
)
from tests.sip.wire import (
    PATIENCE_S,
    DatagramPeer,
    Station,
    StreamPeer,
    answer,
    family_of,
    header,
    outgoing,
    request,
    sent_by,
    station,
    status,
)

HOSTS = ["127.0.0.1", "::1"]


def address(listener: Listener) -> tuple[str, int]:
    return listener.host, listener.port


def answer_next(it: Station, code: int = 200) -> RequestReceived:
    event = it.next(RequestReceived)
    assert it.endpoint.respond(event.tx, code)
    return event


# --- a request and its answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", HOSTS)
def test_a_datagram_is_answered_where_it_came_from(host: str) -> None:
    with station() as it, DatagramPeer(address(it.listen("udp", host))) as phone:
        # RFC 3581 §4: the Via lies, as behind a NAT
        phone.send(request("REGISTER", ("192.0.2.1", 5060)))
        event = answer_next(it)
        assert event.message.method == "REGISTER"
        assert event.flow.remote == phone.address
        reply = phone.receive()
        assert status(reply) == 200
        assert f";received={host}" in header(reply, "Via")
        assert f";rport={phone.address[1]}" in header(reply, "Via")


@pytest.mark.parametrize("host", HOSTS)
def test_a_stream_is_answered_over_its_connection(host: str) -> None:
    with station() as it, StreamPeer.to(address(it.listen("tcp", host))) as phone:
        phone.send(request("REGISTER", phone.address, transport="TCP"))
        event = answer_next(it)
        assert event.flow.connection == it.next(FlowOpened).flow.connection != 0
        assert event.flow.remote == phone.address
        assert status(phone.receive()) == 200


def test_an_answer_is_given_once() -> None:
    with station() as it, DatagramPeer(address(it.listen())) as phone:
        phone.send(request("OPTIONS", phone.address))
        event = answer_next(it)
        assert event.tx.answered
        assert not it.endpoint.respond(event.tx, 486)
        assert status(phone.receive()) == 200


def test_strangers_are_challenged_without_python() -> None:
    with station() as it, DatagramPeer(address(it.listen())) as phone:
        it.endpoint.set_challenge("pbx.example", {"*": "everybody"}, [], [])
        phone.send(request("REGISTER", phone.address))
        reply = phone.receive()
        assert status(reply) == 401
        assert 'realm="pbx.example"' in header(reply, "WWW-Authenticate")
        assert it.quiet(RequestReceived)


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n", b"\0\0\0\0", b""])
def test_keep_alive_datagrams_are_no_errors(data: bytes) -> None:
    with station() as it, DatagramPeer(address(it.listen())) as phone:
        phone.send(data)
        assert it.quiet()
        assert phone.hears_nothing()
        assert it.endpoint.counters()["malformed"] == 0


def test_garbage_is_counted_and_told() -> None:
    with station() as it, DatagramPeer(address(it.listen())) as phone:
        phone.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert it.next(Shed).malformed == 1
        assert it.endpoint.counters()["malformed"] == 1


# --- our own addresses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wildcard", "asked"), [("0.0.0.0", "127.0.0.2"), ("0.0.0.0", "127.9.8.7"), ("::", "::1")])
def test_a_wildcard_answers_from_the_address_that_was_asked(wildcard: str, asked: str) -> None:
    with station() as it:
        port = it.listen("udp", wildcard).port
        # connected: the kernel hands over nothing that comes from another address
        with DatagramPeer((asked, port)) as phone:
            phone.send(request("OPTIONS", phone.address))
            assert answer_next(it).flow.local == (asked, port)
            assert status(phone.receive()) == 200


def test_a_wildcard_stream_knows_the_address_that_was_asked() -> None:
    with station() as it:
        port = it.listen("tcp", "0.0.0.0").port
        with StreamPeer.to(("127.0.0.3", port)) as phone:
            phone.send(request("OPTIONS", phone.address, transport="TCP"))
            assert answer_next(it).flow.local == ("127.0.0.3", port)


@pytest.mark.parametrize(("wildcard", "peer"), [("0.0.0.0", "127.0.0.1"), ("::", "::1")])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_no_via_names_a_wildcard(wildcard: str, peer: str, transport: str) -> None:
    with station() as it:
        port = it.listen(transport, wildcard).port
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        with closing(socket.socket(family_of(peer), kind)) as waiting:
            waiting.bind((peer, 0))
            waiting.settimeout(PATIENCE_S)
            flow = Flow(transport, waiting.getsockname()[:2])
            if transport == "tcp":
                waiting.listen()
            it.endpoint.send_request("OPTIONS", "sip:them@peer.example", outgoing(), b"", flow)
            if transport == "udp":
                data, source = waiting.recvfrom(65_536)
                assert source[:2] == (peer, port)
                via = header(data.decode(), "Via")
            else:
                connection, _ = waiting.accept()
                with StreamPeer(connection) as accepted:
                    via = header(accepted.receive(), "Via")
            assert f" {sent_by((peer, port))};" in via


def test_the_flow_decides_which_address_we_send_from() -> None:
    with station() as it, DatagramPeer(("127.0.0.1", 9), connected=False) as peer:
        port = it.listen("udp", "0.0.0.0").port
        flow = Flow("udp", peer.address, ("127.0.0.4", port))
        it.endpoint.send_request("OPTIONS", "sip:them@peer.example", outgoing(), b"", flow)
        data, source = peer.socket.recvfrom(65_536)
        assert source == ("127.0.0.4", port)
        assert f" 127.0.0.4:{port};" in header(data.decode(), "Via")


# --- listeners ------------------------------------------------------------------------------------------------------


def test_each_of_two_listeners_answers_for_itself() -> None:
    with station() as it:
        first, second = it.listen(), it.listen()
        with DatagramPeer(address(first)) as one, DatagramPeer(address(second)) as two:
            for phone in (one, two):
                phone.send(request("OPTIONS", phone.address))
                assert answer_next(it).flow.local == phone.to
                assert status(phone.receive()) == 200


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_closed_listener_frees_its_port_at_once(transport: str) -> None:
    with station() as it:
        kept = it.listen()
        for _ in range(20):
            listener = it.listen(transport)
            it.endpoint.close_listener(listener)
            assert it.listen(transport, port=listener.port).port == listener.port
        with DatagramPeer(address(kept)) as phone:
            phone.send(request("OPTIONS", phone.address))
            answer_next(it)
            assert status(phone.receive()) == 200


def test_connections_outlive_their_listener() -> None:
    with station() as it:
        listener = it.listen("tcp")
        with StreamPeer.to(address(listener)) as phone:
            it.next(FlowOpened)
            it.endpoint.close_listener(listener)
            with pytest.raises(ConnectionRefusedError):
                StreamPeer.to(address(listener))
            phone.send(request("OPTIONS", phone.address, transport="TCP"))
            answer_next(it)
            assert status(phone.receive()) == 200


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_port_in_use_is_the_systems_error(transport: str, host: str) -> None:
    with station() as it:
        listener = it.listen(transport, host)
        with pytest.raises(OSError, match="in use") as caught:
            it.listen(transport, host, listener.port)
        assert caught.value.errno == errno.EADDRINUSE


def test_an_address_of_somebody_else_is_the_systems_error() -> None:
    with station() as it, pytest.raises(OSError, match="assign") as caught:
        it.listen("udp", "192.0.2.1")
    assert caught.value.errno == errno.EADDRNOTAVAIL


@pytest.mark.parametrize(("transport", "host"), [("sctp", "127.0.0.1"), ("udp", "localhost"), ("udp", "")])
def test_what_is_no_transport_or_address_is_a_value_error(transport: str, host: str) -> None:
    with station() as it, pytest.raises(ValueError, match=r"transport|address"):
        it.listen(transport, host)


def test_ipv4_and_ipv6_wildcards_share_a_port() -> None:
    with station() as it:
        port = it.listen("udp", "::").port
        assert it.listen("udp", "0.0.0.0", port).port == port


# --- streams --------------------------------------------------------------------------------------------------------


def test_a_stream_may_be_cut_anywhere() -> None:
    with station() as it, StreamPeer.to(address(it.listen("tcp"))) as phone:
        phone.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = request("MESSAGE", phone.address, transport="TCP", body="two\r\n\r\nlines")
        for cut in range(1, len(whole)):
            data = request("MESSAGE", phone.address, transport="TCP", body="two\r\n\r\nlines")
            phone.send(data[:cut])
            phone.send(data[cut:])
            assert answer_next(it).message.body == b"two\r\n\r\nlines"
            assert status(phone.receive()) == 200


def test_a_stream_byte_by_byte_and_many_messages_at_once() -> None:
    with station() as it, StreamPeer.to(address(it.listen("tcp"))) as phone:
        phone.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request("OPTIONS", phone.address, transport="TCP"):
            phone.send(bytes([byte]))
        answer_next(it)
        assert status(phone.receive()) == 200
        phone.send(b"".join(request("OPTIONS", phone.address, transport="TCP") for _ in range(100)))
        for _ in range(100):
            answer_next(it)
            assert status(phone.receive()) == 200


def test_a_ping_on_a_stream_is_answered() -> None:
    with station() as it, StreamPeer.to(address(it.listen("tcp"))) as phone:
        phone.send(b"\r\n\r\n")
        phone.socket.settimeout(PATIENCE_S)
        assert phone.socket.recv(16) == b"\r\n"


def test_a_stream_that_is_no_sip_is_closed() -> None:
    with station() as it, StreamPeer.to(address(it.listen("tcp"))) as phone:
        phone.send(b"\x16\x03\x01" + b"A" * 100_000)
        assert phone.is_closed()
        assert it.next(FlowClosed).flow == it.next(FlowOpened).flow


def test_a_peer_that_goes_is_told_and_forgotten() -> None:
    with station() as it:
        listener = it.listen("tcp")
        with StreamPeer.to(address(listener)):
            opened = it.next(FlowOpened)
            assert it.endpoint.counters()["connections"] == 1
        closed = it.next(FlowClosed)
        assert closed.flow == opened.flow
        assert closed.reason == "closed by the peer"
        assert it.endpoint.counters()["connections"] == 0


def test_close_flow_closes_the_connection() -> None:
    with station() as it, StreamPeer.to(address(it.listen("tcp"))) as phone:
        it.endpoint.close_flow(it.next(FlowOpened).flow.connection)
        assert phone.is_closed()
        it.next(FlowClosed)


def test_a_peer_that_never_reads_is_closed_and_blocks_nobody() -> None:
    with station(flood_rate=0.0) as it:
        listener = it.listen("tcp")
        lazy = socket.socket()
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        lazy.connect(address(listener))
        with closing(lazy), StreamPeer.to(address(listener)) as other:
            closed = False
            body = b"x" * 60_000
            for _ in range(400):
                lazy_peer = StreamPeer(lazy)
                lazy_peer.send(request("OPTIONS", ("127.0.0.1", 5060), transport="TCP"))
                event = it.next(RequestReceived)
                assert it.endpoint.respond(event.tx, 200, None, (), body)
                other.send(request("OPTIONS", other.address, transport="TCP"))
                answer_next(it)
                assert status(other.receive(2.0)) == 200
                it.pump(0.0)
                if any(isinstance(told, FlowClosed) for told in it.told):
                    closed = True
                    break
            assert closed
            assert it.next(FlowClosed).reason == "the peer does not read"


def test_connections_beyond_the_bound_are_closed_at_once() -> None:
    with station(max_connections=2) as it:
        where = address(it.listen("tcp"))
        with StreamPeer.to(where) as one, StreamPeer.to(where), StreamPeer.to(where) as third:
            assert third.is_closed()
            one.send(request("OPTIONS", one.address, transport="TCP"))
            answer_next(it)
            assert status(one.receive()) == 200
        it.until(lambda counters: counters["connections"] == 0)
        with StreamPeer.to(where) as fourth:
            fourth.send(request("OPTIONS", fourth.address, transport="TCP"))
            answer_next(it)
            assert status(fourth.receive()) == 200


def test_one_connection_serves_all_requests_to_a_peer() -> None:
    with station() as it, closing(socket.create_server(("127.0.0.1", 0))) as server:
        it.listen("tcp")
        server.settimeout(PATIENCE_S)
        flow = Flow("tcp", server.getsockname())
        # the second is asked for while the connection is not there yet
        sent = {it.endpoint.send_request("OPTIONS", "sip:p@peer", outgoing(), b"", flow) for _ in range(2)}
        connection, _ = server.accept()
        with StreamPeer(connection) as peer:
            for _ in range(2):
                peer.send(answer(peer.receive()))
            assert {it.next(ResponseReceived).tx for _ in range(2)} == sent
            opened = it.next(FlowOpened).flow
            assert opened.remote == server.getsockname()
            later = it.endpoint.send_request("OPTIONS", "sip:p@peer", outgoing(), b"", flow)
            peer.send(answer(peer.receive()))
            assert it.next(ResponseReceived).tx == later
            # and theirs to us come over it too
            peer.send(request("OPTIONS", peer.address, transport="TCP"))
            assert answer_next(it).flow.connection == opened.connection
            assert status(peer.receive()) == 200
        server.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_refused_connection_fails_its_requests() -> None:
    with station() as it, closing(socket.create_server(("127.0.0.1", 0))) as server:
        it.listen("tcp")
        flow = Flow("tcp", server.getsockname())
        server.close()
        sent = {it.endpoint.send_request("OPTIONS", "sip:p@peer", outgoing(), b"", flow) for _ in range(3)}
        failed = [it.next(TransportFailed) for _ in range(3)]
        assert {event.tx for event in failed} == sent
        assert "refused" in failed[0].reason
        assert it.quiet(FlowOpened)


def test_a_connection_that_breaks_fails_its_requests() -> None:
    with station() as it, closing(socket.create_server(("127.0.0.1", 0))) as server:
        it.listen("tcp")
        server.settimeout(PATIENCE_S)
        sent = it.endpoint.send_request("OPTIONS", "sip:p@peer", outgoing(), b"", Flow("tcp", server.getsockname()))
        connection, _ = server.accept()
        with StreamPeer(connection) as peer:
            peer.receive()
        assert it.next(TransportFailed).tx == sent


@pytest.mark.parametrize(("transport", "remote"), [("udp", "::1"), ("tcp", "127.0.0.1")])
def test_without_listener_of_that_kind_a_request_fails(transport: str, remote: str) -> None:
    with station() as it:
        it.listen("udp", "127.0.0.1")
        sent = it.endpoint.send_request("OPTIONS", "sip:p@peer", outgoing(), b"", Flow(transport, (remote, 9)))
        failed = it.next(TransportFailed)
        assert failed.tx == sent
        assert "listener" in failed.reason


def test_keep_alives_go_until_they_are_stopped() -> None:
    with station() as it, DatagramPeer(("127.0.0.1", 9), connected=False) as phone:
        it.listen()
        flow = Flow("udp", phone.address)
        it.endpoint.keep_alive(flow, 0.1)
        assert [phone.receive() for _ in range(3)] == ["\r\n\r\n"] * 3
        it.endpoint.keep_alive(flow, 0)
        it.endpoint.counters()  # the stop has been obeyed when this is answered
        phone.socket.setblocking(False)
        while True:
            try:
                phone.socket.recv(16)
            except BlockingIOError:
                break
        assert phone.hears_nothing()


# --- the flood guard ------------------------------------------------------------------------------------------------


def test_a_source_that_floods_is_dropped_before_parsing() -> None:
    with station(flood_rate=0.001, flood_burst=5.0) as it:
        where = address(it.listen())
        with DatagramPeer(where) as flood, DatagramPeer(where, host="127.0.0.9") as other:
            for _ in range(50):
                flood.send(request("OPTIONS", flood.address))
            for _ in range(5):
                it.next(RequestReceived)
            assert it.next(Shed).flood == 45
            assert it.quiet(RequestReceived)
            counters = it.endpoint.counters()
            assert (counters["received"], counters["flood_dropped"]) == (5, 45)
            other.send(request("OPTIONS", other.address))
            answer_next(it)
            assert status(other.receive()) == 200
            it.endpoint.set_flood_exempt(["127.0.0.0/24"])
            for _ in range(50):
                flood.send(request("OPTIONS", flood.address))
            for _ in range(50):
                it.next(RequestReceived)


def test_a_flooding_stream_is_read_slowly_and_loses_nothing() -> None:
    with station(flood_rate=50.0, flood_burst=5.0) as it, StreamPeer.to(address(it.listen("tcp"))) as phone:
        phone.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(40):
            phone.send(request("OPTIONS", phone.address, transport="TCP"))
        for _ in range(40):
            answer_next(it)
            assert status(phone.receive()) == 200


# --- events and life ------------------------------------------------------------------------------------------------


def test_the_descriptor_is_readable_exactly_while_events_wait() -> None:
    with station() as it, DatagramPeer(address(it.listen())) as phone, selectors.DefaultSelector() as selector:
        selector.register(it.endpoint.fileno(), selectors.EVENT_READ)
        assert not selector.select(0)
        for _ in range(3):
            phone.send(request("OPTIONS", phone.address))
        it.until(lambda counters: counters["server_transactions"] == 3)
        taken = list(it.told)
        it.told.clear()
        for _ in range(3 - len(taken)):
            assert selector.select(PATIENCE_S)
            taken += it.endpoint.drain(1)
        assert len(taken) == 3
        assert not selector.select(0)
        assert it.endpoint.drain() == []
        phone.send(request("OPTIONS", phone.address))
        assert selector.select(PATIENCE_S)


def test_events_match_by_class_and_are_frozen() -> None:
    with station() as it, DatagramPeer(address(it.listen())) as phone:
        phone.send(request("OPTIONS", phone.address))
        event = it.next(RequestReceived)
        assert type(event) is RequestReceived
        assert type(event).__module__ == "_trunkline"
        with pytest.raises(AttributeError):
            event.trusted = True


def test_tokens_carry_node_and_worker_and_never_repeat() -> None:
    with station(node=0x12AB, worker=3) as it, station(node=0x12AB, worker=3) as other:
        minted = [
            mint()
            for e in (it, other)
            for mint in (e.endpoint.mint_tag, e.endpoint.mint_call_id, e.endpoint.mint_token)
        ]
        assert all(token.startswith("12ab0003") for token in minted)
        assert len(set(minted)) == len(minted)


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Bad", "a\r\nInjected: 1"), ("X-Bad", "a\0"), ("X Bad", "a"), ("X-Bad\r\nY", "a"), ("Via", "x")],
)
def test_a_header_cannot_smuggle_another(name: str, value: str) -> None:
    with station() as it, DatagramPeer(address(it.listen())) as phone:
        phone.send(request("OPTIONS", phone.address))
        event = it.next(RequestReceived)
        with pytest.raises(ValueError, match=r"header|value|written"):
            it.endpoint.respond(event.tx, 200, headers=[(name, value)])
        assert not event.tx.answered
        with pytest.raises(ValueError, match=r"header|value|written"):
            it.endpoint.send_request(
                "OPTIONS", "sip:p@peer", [*outgoing(), (name, value)], b"", Flow("udp", phone.address)
            )


def test_a_reliable_provisional_is_repeated_until_its_prack() -> None:
    with station(t1_s=0.05) as it, DatagramPeer(address(it.listen())) as phone:
        phone.send(request("INVITE", phone.address, call_id="reliable", lines=("Supported: 100rel",)))
        event = it.next(RequestReceived)
        it.endpoint.respond(event.tx, 183, reliable=True)
        progress = phone.receive()
        assert phone.receive() == progress
        to_tag = header(progress, "To").partition("tag=")[2]
        rack = f"RAck: {header(progress, 'RSeq')} 1 INVITE"
        phone.send(request("PRACK", phone.address, call_id="reliable", to_tag=to_tag, cseq=2, lines=(rack,)))
        prack = it.next(PrackReceived)
        assert prack.invite == event.tx.id
        it.endpoint.respond(prack.tx, 200)
        while (answer := phone.receive()) == progress:
            pass
        assert (status(answer), header(answer, "CSeq")) == (200, "2 PRACK")


def test_a_large_request_goes_over_tcp_and_where_that_is_refused_over_udp() -> None:
    with station() as it, socket.create_server(("127.0.0.1", 0)) as server:
        it.listen()
        it.listen("tcp")
        to = server.getsockname()[:2]
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as datagrams:
            datagrams.bind(to)
            datagrams.settimeout(PATIENCE_S)
            it.endpoint.send_request("MESSAGE", "sip:p@peer", outgoing("MESSAGE"), b"x" * 2000, Flow("udp", to))
            server.settimeout(PATIENCE_S)
            with StreamPeer(server.accept()[0]) as peer:
                asked = peer.receive()
                assert header(asked, "Via").startswith("SIP/2.0/TCP")
                peer.send(answer(asked))
                response = it.next(ResponseReceived)
                assert (response.message.status, response.flow.transport) == (200, "udp")
            it.next(FlowClosed)
            server.close()
            tx = it.endpoint.send_request("MESSAGE", "sip:p@peer", outgoing("MESSAGE"), b"x" * 2000, Flow("udp", to))
            data, source = datagrams.recvfrom(65_536)
            assert header(data.decode(), "Via").startswith("SIP/2.0/UDP")
            datagrams.sendto(answer(data.decode()), source)
            assert it.next(ResponseReceived).tx == tx


@pytest.mark.parametrize("end", ["close", "drop"])
def test_the_end_closes_every_socket_and_the_thread(end: str) -> None:
    it = Station()
    udp, tcp = it.listen(), it.listen("tcp")
    with StreamPeer.to(address(tcp)) as phone:
        it.next(FlowOpened)
        if end == "close":
            it.endpoint.close()
            it.endpoint.close()
        else:
            del it
            gc.collect()
        assert phone.is_closed()
    with station() as again:
        again.listen("udp", port=udp.port)
        again.listen("tcp", port=tcp.port)


def test_a_closed_endpoint_fails_requests_and_ignores_the_rest() -> None:
    it = Station()
    with DatagramPeer(address(it.listen())) as phone:
        phone.send(request("OPTIONS", phone.address))
        event = it.next(RequestReceived)
        it.endpoint.close()
        sent = it.endpoint.send_request("OPTIONS", "sip:p@peer", outgoing(), b"", Flow("udp", phone.address))
        assert it.next(TransportFailed).tx == sent
        it.endpoint.respond(event.tx, 200)
        assert phone.hears_nothing()
        assert it.endpoint.counters()["received"] == 1
        with pytest.raises(OSError, match="closed"):
            it.listen()


def test_endpoints_come_and_go() -> None:
    for _ in range(100):
        endpoint = SipEndpoint()
        endpoint.listen("udp", "127.0.0.1", 0)
        endpoint.close()
