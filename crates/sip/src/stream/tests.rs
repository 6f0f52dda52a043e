use proptest::prelude::*;

use super::*;

const ONE: &str = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c\r\nContent-Length: 5\r\n\r\nhello";
const TWO: &str = "SIP/2.0 200 OK\r\nl :\r\n 0\r\nVia: SIP/2.0/TCP c\r\n\r\n";

fn all(framer: &mut Framer) -> Vec<Frame> {
    std::iter::from_fn(|| framer.next().unwrap()).collect()
}

fn message(text: &str) -> Frame {
    Frame::Message(Bytes::copy_from_slice(text.as_bytes()))
}

fn failure(text: &str, limits: Limits) -> Option<u16> {
    let mut framer = Framer::new(limits);
    framer.push(text.as_bytes());
    let first = framer.next().err().map(|error| error.status);
    assert_eq!(framer.next().err().map(|error| error.status), first, "the error stays");
    first
}

#[test]
fn test_messages_are_cut_by_content_length() {
    let mut framer = Framer::new(Limits::default());
    framer.push(format!("{ONE}{TWO}{ONE}").as_bytes());
    assert_eq!(all(&mut framer), [message(ONE), message(TWO), message(ONE)]);
    assert_eq!(framer.waiting(), 0);
}

#[test]
fn test_a_message_may_come_byte_by_byte() {
    let mut framer = Framer::new(Limits::default());
    let mut frames = Vec::new();
    for byte in format!("{ONE}\r\n\r\n{TWO}\r\n{ONE}").bytes() {
        framer.push(&[byte]);
        frames.extend(all(&mut framer));
    }
    assert_eq!(frames, [message(ONE), Frame::Ping, message(TWO), message(ONE)]);
}

#[test]
fn test_two_empty_lines_are_a_ping_and_one_is_nothing() {
    let mut framer = Framer::new(Limits::default());
    framer.push(b"\r\n");
    assert_eq!(framer.next(), Ok(None));
    framer.push(b"\r\n\r\n\r\n");
    assert_eq!(all(&mut framer), [Frame::Ping, Frame::Ping]);
}

#[test]
fn test_a_stream_that_cannot_be_followed_is_an_error_that_stays() {
    assert_eq!(failure("OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\n\r\n", Limits::default()), Some(400));
    assert_eq!(
        failure("OPTIONS sip:a@b SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\n", Limits::default()),
        Some(400)
    );
    assert_eq!(failure("OPTIONS sip:a@b SIP/2.0\r\nl: -1\r\n\r\n", Limits::default()), Some(400));
    assert_eq!(
        failure("OPTIONS sip:a@b SIP/2.0\r\nl: 9999999999\r\n\r\n", Limits::default()),
        Some(513)
    );
    let limits = Limits {
        max_bytes: 100,
        ..Limits::default()
    };
    assert_eq!(failure(&"x".repeat(101), limits), Some(513));
    assert_eq!(failure(&ONE.replace("5\r\n", "90\r\n"), limits), Some(513));
}

#[test]
fn test_what_waits_is_bounded_by_the_largest_message() {
    let mut framer = Framer::new(Limits {
        max_bytes: 1_000,
        ..Limits::default()
    });
    for _ in 0..100 {
        framer.push(&[b'x'; 50]);
        if framer.next().is_err() {
            break;
        }
        assert!(framer.waiting() <= 1_000);
    }
    assert_eq!(framer.waiting(), 0);
    framer.push(b"more");
    assert_eq!(framer.waiting(), 0);
}

proptest! {
    #[test]
    fn test_how_the_stream_is_split_changes_nothing(sizes in proptest::collection::vec(1..40_usize, 1..40)) {
        let stream = format!("{ONE}\r\n\r\n{TWO}\r\n{TWO}{ONE}");
        let mut framer = Framer::new(Limits::default());
        let (mut rest, mut frames) = (stream.as_bytes(), Vec::new());
        for size in sizes.iter().cycle() {
            let (now, later) = rest.split_at((*size).min(rest.len()));
            framer.push(now);
            frames.extend(all(&mut framer));
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(frames, [message(ONE), Frame::Ping, message(TWO), message(TWO), message(ONE)]);
    }

    #[test]
    fn test_no_bytes_make_the_framer_panic(chunks in proptest::collection::vec("[\r\n:lL 0-9a]{0,20}", 0..20)) {
        let mut framer = Framer::new(Limits { max_bytes: 200, ..Limits::default() });
        for chunk in chunks {
            framer.push(chunk.as_bytes());
            while let Ok(Some(_)) = framer.next() {}
        }
    }
}
