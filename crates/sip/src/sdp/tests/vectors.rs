//! The examples of RFC 3264 §10 and RFC 4317, with numeric addresses.

use super::*;

#[test]
fn test_rfc3264_section_10_1_audio_is_taken_and_both_videos_are_refused() {
    // The RFC's example with numeric addresses.
    let offered = sdp(
        2_890_844_526,
        "m=audio 49170 RTP/AVP 0
         a=rtpmap:0 PCMU/8000
         m=video 51372 RTP/AVP 31
         a=rtpmap:31 H261/90000
         m=video 53000 RTP/AVP 32
         a=rtpmap:32 MPV/90000",
    );
    let mut leg = leg();
    let (text, plan) = answer(&mut leg, &offered, "PCMU/8000 PCMA/8000");
    let expected = "v=0\r\no=- 7 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n\
                    a=sendrecv\r\nm=video 0 RTP/AVP 31\r\nm=video 0 RTP/AVP 32\r\n";
    assert_eq!(text, expected);
    assert_eq!(leg.local(), Some(expected));
    assert_eq!(plan.remote_rtp, Some("198.51.100.1:49170".parse().unwrap()));
    assert_eq!(plan.remote_rtcp, Some("198.51.100.1:49171".parse().unwrap()));
    assert_eq!((plan.direction, plan.held, plan.ptime_ms), (Direction::SendRecv, false, None));
    // §10.1, Bob's later offer: the video's port changes and an audio line for DTMF is added.
    let later = sdp(
        2_890_844_527,
        "m=audio 49170 RTP/AVP 0
         m=video 65422 RTP/AVP 31
         m=video 53000 RTP/AVP 32
         m=audio 51434 RTP/AVP 110
         a=rtpmap:110 telephone-events/8000
         a=recvonly",
    );
    let (text, _) = answer(&mut leg, &later, "PCMU/8000");
    let lines = [
        "m=audio 20000 RTP/AVP 0",
        "m=video 0 RTP/AVP 31",
        "m=video 0 RTP/AVP 32",
        "m=audio 0 RTP/AVP 110",
    ];
    assert_eq!(media_lines(&text), lines);
    assert_eq!(version(&text), 2);
}

#[test]
fn test_rfc3264_section_10_2_one_of_n_codecs() {
    let offered = sdp(
        1,
        "m=audio 62986 RTP/AVP 0 4 18
         a=rtpmap:0 PCMU/8000
         a=rtpmap:4 G723/8000
         a=rtpmap:18 G729/8000
         a=inactive",
    );
    let mut leg = leg();
    let read = leg.read_offer(&offered).unwrap();
    assert_eq!(
        numbers(&read.audio().codecs),
        pairs(&[("PCMU/8000", 0), ("G723/8000", 4), ("G729/8000", 18)])
    );
    let (text, plan) = answer(&mut leg, &offered, "G723/8000 PCMU/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 0 4"]);
    assert!(text.ends_with("a=inactive\r\n"));
    assert_eq!((plan.direction, plan.held), (Direction::Inactive, true));
    // The second offer settles on one codec and opens the stream.
    let settled = sdp(2, "m=audio 62986 RTP/AVP 4\na=rtpmap:4 G723/8000\na=sendrecv");
    let (text, plan) = answer(&mut leg, &settled, "G723/8000 PCMU/8000");
    assert_eq!((media_lines(&text), version(&text)), (vec!["m=audio 20000 RTP/AVP 4"], 2));
    assert_eq!((plan.direction, plan.held), (Direction::SendRecv, false));
}

#[test]
fn test_rfc4317_section_2_1_offerer_sees_one_codec_of_three() {
    let mut leg = leg();
    let text = offer(&mut leg, "PCMU/8000 PCMA/8000 iLBC/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 0 8 96"]);
    let plan = leg.accept_answer(&sdp(1, "m=audio 49174 RTP/AVP 0\na=rtpmap:0 PCMU/8000")).unwrap();
    assert_eq!(numbers(&plan.send_codecs), pairs(&[("PCMU/8000", 0)]));
    assert_eq!(numbers(&plan.receive_codecs), pairs(&[("PCMU/8000", 0)]));
    assert_eq!(leg.local(), Some(text.as_str()));
}

#[test]
fn test_rfc4317_section_2_3_a_second_audio_line_for_events_is_refused() {
    let offered = sdp(
        1,
        "m=audio 49170 RTP/AVP 0 97
         a=rtpmap:0 PCMU/8000
         a=rtpmap:97 iLBC/8000
         m=audio 49172 RTP/AVP 98
         a=rtpmap:98 telephone-event/8000
         a=sendonly",
    );
    let (text, plan) = answer(&mut leg(), &offered, "iLBC/8000 telephone-event/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 97", "m=audio 0 RTP/AVP 98"]);
    assert_eq!(numbers(&plan.receive_codecs), pairs(&[("iLBC/8000", 97)]));
}

#[test]
fn test_rfc4317_section_3_1_hold_and_unhold_by_the_answerer() {
    let mut leg = leg();
    offer(&mut leg, "PCMU/8000 iLBC/8000");
    leg.accept_answer(&sdp(1, "m=audio 49172 RTP/AVP 97\na=rtpmap:97 iLBC/8000"))
        .unwrap();
    let hold = sdp(2, "m=audio 49172 RTP/AVP 97\na=rtpmap:97 iLBC/8000\na=sendonly");
    let (text, plan) = answer(&mut leg, &hold, "PCMU/8000 iLBC/8000");
    assert!(text.contains("m=audio 20000 RTP/AVP 97\r\n") && text.ends_with("a=recvonly\r\n"));
    assert_eq!((plan.direction, plan.held, version(&text)), (Direction::RecvOnly, true, 2));
    let resume = sdp(3, "m=audio 49172 RTP/AVP 97\na=rtpmap:97 iLBC/8000");
    let (text, plan) = answer(&mut leg, &resume, "PCMU/8000 iLBC/8000");
    assert_eq!((plan.direction, plan.held, version(&text)), (Direction::SendRecv, false, 3));
}
