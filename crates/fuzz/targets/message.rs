//! Any datagram: parse, check, every reader, then an answer to it that must itself be a message and say no more than it was asked.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trunkline_sip::build::{ViaStamp, ack_to_failure, cancel, response};
use trunkline_sip::header::Name;
use trunkline_sip::message::{Limits, Message};

fn read_all(message: &Message) {
    let _ = (
        message.method(),
        message.uri_text(),
        message.reason(),
        message.content_type(),
        message.star_contact(),
    );
    let _ = (
        message.via(),
        message.from(),
        message.to(),
        message.cseq(),
        message.contacts(),
        message.addresses(Name::Route),
    );
    let _ = (
        message.call_id(),
        message.from_tag(),
        message.to_tag(),
        message.integer("Expires"),
        message.values("Supported"),
        message.rseq(),
        message.rack(),
    );
    let _ = (
        message.tokens("Accept"),
        message.privacy(),
        message.reasons(),
        message.retry_after_s(),
    );
    for (name, value) in message.headers() {
        assert!(!name.is_empty() && !value.contains(['\r', '\n']));
        assert!(message.lines(name).count() > 0);
    }
}

fn answer(request: &Message) {
    let stamp = ViaStamp {
        source: "192.0.2.1:5060".parse().ok(),
    };
    let built = response(request, 486, None, Some("tag"), &[], b"", &stamp).expect("any request can be answered");
    let answer = Message::parse(
        built,
        &Limits {
            max_bytes: usize::MAX,
            ..Limits::default()
        },
    )
    .expect("an answer is a message");
    assert_eq!(answer.status(), 486);
    assert_eq!(answer.lines("Via").count(), request.lines("Via").count());
    if request.check().is_ok() {
        assert_eq!(answer.check(), Ok(()));
        assert_eq!((answer.call_id(), answer.from_tag()), (request.call_id(), request.from_tag()));
        for follow_up in [ack_to_failure(request, &answer), cancel(request, &[]).expect("no header is given")] {
            let follow_up = Message::parse(follow_up, &Limits::default()).expect("it is a message");
            assert_eq!(follow_up.check(), Ok(()));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(data), &Limits::default()) else {
        return;
    };
    assert!(message.body().len() <= data.len());
    if message.check().is_ok() {
        assert!(message.from().is_ok() && message.to().is_ok() && message.cseq().is_ok() && message.via().is_ok());
        assert!(!message.call_id().is_empty() && !message.method().is_empty());
    }
    read_all(&message);
    if message.is_request() {
        answer(&message);
    }
});
