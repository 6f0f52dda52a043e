//! One turn of a worker that the test itself makes: what comes first when several things wait.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::mpsc::{SyncSender, sync_channel};

use trunkline_media::codec::Codec;
use trunkline_media::leg::Configuration;
use trunkline_media::rtp;

use super::*;
use crate::media::ports::Ports;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn worker() -> (Worker, SyncSender<Command>) {
    let (commands, queue) = sync_channel(8);
    let (wake, events) = (Arc::new(Wake::new().unwrap()), Arc::new(Events::new(8).unwrap()));
    (Worker::new(Clock::start(), wake, queue, events, Arc::default()).unwrap(), commands)
}

#[test]
fn test_a_command_is_obeyed_before_the_packets_that_came_with_it() {
    let (mut worker, commands) = worker();
    let sockets = Arc::new(Ports::new(25_000, 25_009, 1).unwrap()).bind(HERE).unwrap();
    let port = sockets.port();
    let peer = UdpSocket::bind((HERE, 0)).unwrap();
    worker.wake.wake();
    // nobody wakes the worker for the second command: the packet does, as while wake-ups are held back
    let mut turn = |told: Command| {
        commands.send(told).unwrap();
        assert!(worker.turn(&mut Vec::with_capacity(EVENTS)));
        worker
            .places
            .get(&1)
            .and_then(|place| worker.slots[*place].as_ref())
            .map(|slot| slot.leg.statistics())
    };
    turn(Command::Open {
        leg: 1,
        seed: 1,
        sockets: Box::new(sockets),
    });
    let codecs = vec![Codec::new("PCMU", 8000, 1, 0).unwrap()];
    let header = rtp::Header {
        marker: false,
        payload_type: 0,
        sequence: 1,
        timestamp: 160,
        ssrc: 7,
    };
    peer.send_to(&[&header.bytes()[..], &[0x55; 160]].concat(), (HERE, port)).unwrap();
    let counted = turn(Command::Configure {
        leg: 1,
        plan: Box::new(Configuration {
            remote_rtp: peer.local_addr().ok(),
            receives: true,
            receive_codecs: codecs.clone(),
            send_codecs: codecs,
            ..Configuration::default()
        }),
    })
    .unwrap();
    assert_eq!((counted.packets_received, counted.packets_refused), (1, 0));
}
