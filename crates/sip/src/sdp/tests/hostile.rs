//! What is no description, and what is read although it is none by the letter.

use super::*;

#[test]
fn test_constructors_refuse_what_would_break_a_line() {
    assert!(Describer::new(1, "a\r\nb", "-").is_err());
    assert!(Describer::new(1, "", "-").is_err());
    assert!(Describer::new(1, "-", "two words").is_err());
    assert_eq!(Codec::new("a b", 8_000, 1, None, None), Err(CodecError::Name));
    assert_eq!(Codec::new("", 8_000, 1, None, None), Err(CodecError::Name));
    assert_eq!(Codec::new("x", 0, 1, None, None), Err(CodecError::Zero));
    assert_eq!(Codec::new("x", 1, 1, Some(128), None), Err(CodecError::PayloadType));
    assert_eq!(Codec::new("x", 1, 1, None, Some("a\r\na=b".to_owned())), Err(CodecError::Fmtp));
}

#[test]
fn test_malformed_descriptions_are_refused() {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";
    let line = |number, what| SdpError::Line { line: number, what };
    let rows = [
        (String::new(), SdpError::Missing("v=0")),
        ("v=1\r\n".to_owned(), line(1, "the first line must be v=0")),
        ("o=- 1 1 IN IP4 192.0.2.1\r\n".to_owned(), line(1, "the first line must be v=0")),
        ("v=0\r\ns=-\r\n".to_owned(), SdpError::Missing("a usable o= line")),
        (
            "v=0\r\no=- x 1 IN IP4 192.0.2.1\r\n".to_owned(),
            SdpError::Missing("a usable o= line"),
        ),
        (format!("{head}v=0\r\n"), line(4, "a second description begins")),
        (format!("{head}nonsense\r\n"), line(4, "it is not of the form x=value")),
        (format!("{head}ab=1\r\n"), line(4, "its type is not one letter")),
        (
            format!("{head}m=audio 1\r\n"),
            line(4, "m= needs a media type, a port and a protocol"),
        ),
        (
            format!("{head}m=audio 65536 RTP/AVP 0\r\n"),
            line(4, "the port is no number below 65536"),
        ),
        (
            format!("{head}m=audio +1 RTP/AVP 0\r\n"),
            line(4, "the port is no number below 65536"),
        ),
        (
            format!("{head}m=audio 1/99999999999 RTP/AVP 0\r\n"),
            line(4, "the number of ports is no number"),
        ),
        (format!("{head}a=x\0y\r\n"), line(4, "a control character stands in it")),
        (
            format!("{head}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(65)),
            SdpError::TooMany {
                what: "media lines",
                limit: 64,
            },
        ),
        (
            format!("{head}m=audio 1 RTP/AVP{}\r\n", " 0".repeat(129)),
            SdpError::TooMany {
                what: "formats on one media line",
                limit: 128,
            },
        ),
        (
            format!("{head}{}", "a=x\r\n".repeat(1001)),
            SdpError::TooMany {
                what: "attributes",
                limit: 1000,
            },
        ),
        (
            format!("{head}{}", "b=AS:1\r\n".repeat(600)),
            SdpError::TooMany { what: "lines", limit: 512 },
        ),
        (format!("{head}i={}", "x".repeat(65_536)), SdpError::TooLong),
    ];
    for (text, error) in rows {
        assert_eq!(Description::parse(text.as_bytes()), Err(error), "{:.80}", text);
    }
    let full = format!(
        "{head}{}m=audio 1 RTP/AVP{}\r\n{}",
        "m=audio 1 RTP/AVP 0\r\n".repeat(63),
        " 0".repeat(128),
        "a=x\r\n".repeat(1000)
    );
    assert!(Description::parse(full.as_bytes()).is_ok());
}

#[test]
fn test_lf_blank_lines_and_bytes_that_are_no_utf8_are_tolerated() {
    let text = b"v=0\no=Some Phone 99999999999999999999999 1 IN IP4 192.0.2.1\ns=caf\xe9\nc=IN IP4 192.0.2.1\n\nm=audio 4000 RTP/AVP 0\n\n";
    let description = Description::parse(text).unwrap();
    let origin = description.origin().unwrap();
    assert_eq!((origin.username, origin.session_id), ("Some Phone", "99999999999999999999999"));
    assert_eq!(first(&description.session, 's'), Some("caf\u{fffd}"));
    assert!(leg().read_offer(text).is_ok());
}
