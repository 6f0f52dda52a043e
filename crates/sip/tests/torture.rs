//! Every torture message of RFC 4475 through the parser, the check and the typed readers, against a table of what is expected.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use trunkline_sip::build::{ViaStamp, response};
use trunkline_sip::header::Name;
use trunkline_sip::message::{Limits, Message};
use trunkline_sip::stream::{Frame, Framer};

/// What the parser and the check make of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It goes up; what its extensions ask for is decided above.
    Accepted,
    /// It is answered with this status.
    Answered(u16),
    /// A response that is dropped without a word.
    Dropped,
}

use Outcome::{Accepted, Answered, Dropped};

/// File, section of RFC 4475, outcome, the header whose typed reader refuses its value (the rest reads well).
const TABLE: &[(&str, &str, Outcome, Option<Name>)] = &[
    ("wsinv", "3.1.1.1", Accepted, None),
    ("intmeth", "3.1.1.2", Accepted, None),
    ("esc01", "3.1.1.3", Accepted, None),
    ("escnull", "3.1.1.4", Accepted, None),
    ("esc02", "3.1.1.5", Accepted, None),
    ("lwsdisp", "3.1.1.6", Accepted, None),
    ("longreq", "3.1.1.7", Accepted, None),
    // The second request is dropped with the rest of the datagram.
    ("dblreq", "3.1.1.8", Accepted, None),
    ("semiuri", "3.1.1.9", Accepted, None),
    ("transports", "3.1.1.10", Accepted, None),
    ("mpart01", "3.1.1.11", Accepted, None),
    ("unreason", "3.1.1.12", Accepted, None),
    ("noreason", "3.1.1.13", Accepted, None),
    ("badinv01", "3.1.2.1", Answered(400), Some(Name::Via)),
    ("clerr", "3.1.2.2", Answered(400), None),
    ("ncl", "3.1.2.3", Answered(400), None),
    ("scalar02", "3.1.2.4", Answered(400), Some(Name::CSeq)),
    ("scalarlg", "3.1.2.5", Dropped, Some(Name::CSeq)),
    ("quotbal", "3.1.2.6", Answered(400), Some(Name::To)),
    ("ltgtruri", "3.1.2.7", Answered(400), None),
    ("lwsruri", "3.1.2.8", Answered(400), None),
    // The RFC lets an element be lenient with these spaces; we are not.
    ("lwsstart", "3.1.2.9", Answered(400), None),
    ("trws", "3.1.2.10", Answered(400), None),
    ("escruri", "3.1.2.11", Answered(400), None),
    // Nobody here acts upon Date.
    ("baddate", "3.1.2.12", Accepted, None),
    // The registrar answers 400 when it reads the Contact.
    ("regbadct", "3.1.2.13", Accepted, Some(Name::Contact)),
    ("badaspec", "3.1.2.14", Answered(400), Some(Name::To)),
    // The RFC lets an element guess what the unquoted display name means; we do, since phones send such names.
    ("baddn", "3.1.2.15", Accepted, None),
    // The version of its Via is not ours either.
    ("badvers", "3.1.2.16", Answered(505), Some(Name::Via)),
    ("mismatch01", "3.1.2.17", Answered(400), None),
    // The RFC has 501 beside 400: both are true.
    ("mismatch02", "3.1.2.18", Answered(400), None),
    ("bigcode", "3.1.2.19", Dropped, None),
    ("badbranch", "3.2.1", Answered(400), None),
    ("insuf", "3.3.1", Answered(400), Some(Name::From)),
    ("unkscm", "3.3.2", Answered(416), None),
    ("novelsc", "3.3.3", Answered(416), None),
    // Unknown schemes in header fields are the registrar's business.
    ("unksm2", "3.3.4", Accepted, None),
    // 420 comes from above.
    ("bext01", "3.3.5", Accepted, None),
    // 415 comes from above.
    ("invut", "3.3.6", Accepted, None),
    ("regaut01", "3.3.7", Accepted, None),
    ("multi01", "3.3.8", Answered(400), None),
    ("mcl01", "3.3.9", Answered(400), None),
    // The broadcast address stands in a Via that is not ours; whether the topmost is ours is for the transaction layer.
    ("bcast", "3.3.10", Accepted, None),
    // 483 is for whoever would forward it.
    ("zeromf", "3.3.11", Accepted, None),
    ("cparam01", "3.3.12", Accepted, None),
    ("cparam02", "3.3.13", Accepted, None),
    ("regescrt", "3.3.14", Accepted, None),
    ("sdp01", "3.3.15", Accepted, None),
    ("inv2543", "3.4.1", Accepted, None),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475")
}

fn bytes(name: &str) -> Bytes {
    Bytes::from(std::fs::read(folder().join(name).with_extension("dat")).unwrap())
}

fn message(name: &str) -> Message {
    Message::parse(bytes(name), &Limits::default()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn outcome(name: &str) -> Outcome {
    match Message::parse(bytes(name), &Limits::default()).and_then(|message| message.check()) {
        Ok(()) => Accepted,
        Err(error) if error.status == 0 => Dropped,
        Err(error) => Answered(error.status),
    }
}

#[test]
fn test_every_file_has_a_row_and_every_row_a_file() {
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            entry
                .unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .strip_suffix(".dat")
                .map(str::to_owned)
        })
        .collect();
    let rows: BTreeSet<String> = TABLE.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(files, rows);
    assert_eq!(rows.len(), TABLE.len());
}

#[test]
fn test_every_message_gets_what_its_section_says() {
    for (name, section, expected, _) in TABLE {
        assert_eq!(outcome(name), *expected, "{name}, RFC 4475 §{section}");
    }
}

#[test]
fn test_the_typed_readers_refuse_only_what_is_malformed() {
    for (name, section, _, refused) in TABLE.iter().filter(|(name, ..)| *name != "bigcode") {
        let message = message(name);
        let readers = [
            (Name::Via, message.via().err()),
            (Name::CSeq, message.cseq().err()),
            (Name::From, message.from().err()),
            (Name::To, message.to().err()),
            (Name::Contact, message.contacts().err()),
        ];
        let first = readers.into_iter().find_map(|(reader, error)| error.map(|_| reader));
        assert_eq!(first, *refused, "{name}, RFC 4475 §{section}");
    }
}

#[test]
fn test_every_request_can_be_answered() {
    let stamp = ViaStamp {
        source: Some("192.0.2.77:5060".parse().unwrap()),
    };
    for (name, ..) in TABLE.iter().filter(|(name, ..)| *name != "bigcode") {
        let request = message(name);
        let answer = response(&request, 400, None, Some("tag"), &[], b"", &stamp).unwrap();
        let answer = Message::parse(answer, &Limits::default()).unwrap();
        assert_eq!((answer.status(), answer.call_id()), (400, request.call_id()), "{name}");
        assert_eq!(answer.values("Via").len(), request.values("Via").len(), "{name}");
        if outcome(name) == Accepted {
            assert_eq!(answer.check(), Ok(()), "{name}");
        }
    }
}

#[test]
fn test_a_stream_is_cut_into_the_messages_that_can_be_framed() {
    let framed = |name: &str| {
        let mut framer = Framer::new(Limits::default());
        framer.push(&bytes(name));
        framer.next()
    };
    for (name, ..) in TABLE {
        match (*name, framed(name)) {
            // No length, a negative one, two.
            ("inv2543" | "ncl" | "mcl01", outcome) => assert!(outcome.is_err(), "{name}"),
            // More announced than there is, or no end of the head: more may come.
            ("clerr" | "baddn", outcome) => assert_eq!(outcome, Ok(None), "{name}"),
            (_, Ok(Some(Frame::Message(data)))) => assert!(bytes(name).starts_with(&data), "{name}"),
            (_, outcome) => panic!("{name}: {outcome:?}"),
        }
    }
}

#[test]
fn test_wsinv_reads_through_its_folds() {
    let wsinv = message("wsinv");
    assert_eq!(wsinv.to_tag(), "1918181833n");
    assert_eq!(wsinv.cseq().unwrap().to_string(), "9 INVITE");
    assert_eq!(wsinv.integer("Max-Forwards"), Ok(Some(68)));
    assert_eq!(wsinv.values("Via").len(), 3);
    assert_eq!(wsinv.via().unwrap().branch(), Some("390skdjuw"));
    assert_eq!(
        wsinv.header("NewFangledHeader").as_deref(),
        Some("newfangled value continued newfangled value")
    );
    let contact = &wsinv.contacts().unwrap()[0];
    assert_eq!(contact.display_name.as_deref(), Some("Quoted string \"\""));
    assert_eq!(
        (contact.param("newparam"), contact.param("secondparam"), contact.param("q")),
        (Some("newvalue"), Some(""), Some("0.33"))
    );
    assert_eq!(wsinv.addresses(Name::Route).unwrap()[0].uri.param("unknown-no-value"), Some(""));
}

#[test]
fn test_intmeth_reads_every_odd_character() {
    let intmeth = message("intmeth");
    assert_eq!(intmeth.method(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(intmeth.to().unwrap().display_name.as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
    assert_eq!(intmeth.from_tag(), "_token~1'+`*%!-.");
    assert_eq!(intmeth.from().unwrap().param("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(intmeth.call_id(), "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
}

#[test]
fn test_escapes_mean_what_they_stand_for() {
    let esc01 = message("esc01");
    assert_eq!(
        trunkline_sip::uri::Uri::parse(esc01.uri_text()).unwrap().user().as_deref(),
        Some("sips:user@example.com")
    );
    assert_eq!(esc01.contacts().unwrap()[0].uri.param("name"), Some("value%41"));
    let users: Vec<_> = message("escnull")
        .contacts()
        .unwrap()
        .iter()
        .filter_map(|contact| contact.uri.user().map(String::from))
        .collect();
    assert_eq!(users, ["\0", "\0\0"]);
    assert_eq!(message("esc02").method(), "RE%47IST%45R");
}

#[test]
fn test_parameters_belong_to_the_uri_or_to_the_header() {
    // Without `<>` the parameter is the Contact's, with them the URI's.
    let outside = &message("cparam01").contacts().unwrap()[0];
    assert_eq!((outside.param("unknownparam"), outside.uri.param("unknownparam")), (Some(""), None));
    let inside = &message("cparam02").contacts().unwrap()[0];
    assert_eq!((inside.param("unknownparam"), inside.uri.param("unknownparam")), (None, Some("")));
    let semi = trunkline_sip::uri::Uri::parse(message("semiuri").uri_text()).unwrap();
    assert_eq!(semi.user().as_deref(), Some("user;par=u@example.net"));
    let route = &message("regescrt").contacts().unwrap()[0];
    assert_eq!(route.uri.headers().collect::<Vec<_>>(), [("Route", "<sip:sip.example.com>")]);
}

#[test]
fn test_bodies_end_where_content_length_says() {
    assert_eq!(message("dblreq").body(), b"");
    assert_eq!(message("dblreq").method(), "REGISTER");
    assert_eq!(message("mpart01").body().len(), 553);
    assert_eq!(message("unreason").reason(), "= 2**3 * 5**2 но сто девяносто девять - простое");
}
