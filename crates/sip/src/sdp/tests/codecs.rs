//! Which codecs are agreed, and under which payload types.

use super::*;

#[test]
fn test_static_payload_types_need_no_rtpmap() {
    let read = leg().read_offer(&sdp(1, "m=audio 4000 RTP/AVP 0 3 8 9 13 18 96 0 200 x")).unwrap();
    let known = [
        ("PCMU/8000", 0),
        ("GSM/8000", 3),
        ("PCMA/8000", 8),
        ("G722/8000", 9),
        ("CN/8000", 13),
        ("G729/8000", 18),
    ];
    assert_eq!(numbers(&read.audio().codecs), pairs(&known));
}

#[test]
fn test_codecs_match_by_name_rate_and_channels() {
    let media =
        "m=audio 4000 RTP/AVP 96 97 98 99\na=rtpmap:96 OPUS/48000/2\na=rtpmap:97 L16/8000/1\na=rtpmap:98 pcmu/16000\na=rtpmap:99 pcmu/8000";
    let (text, plan) = answer(&mut leg(), &sdp(1, media), "PCMU/8000 opus/48000/2 L16/8000/2");
    assert_eq!(numbers(&plan.send_codecs), pairs(&[("OPUS/48000/2", 96), ("pcmu/8000", 99)]));
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 96 99"]);
}

#[test]
fn test_events_stay_beside_a_codec_of_their_clock_rate() {
    let media = "m=audio 4000 RTP/AVP 96 0 101 102\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n\
                 a=rtpmap:102 telephone-event/48000";
    let can = "PCMU/8000 telephone-event/8000 telephone-event/48000";
    let (text, plan) = answer(&mut leg(), &sdp(1, media), can);
    assert_eq!(
        numbers(&plan.receive_codecs),
        pairs(&[("PCMU/8000", 0), ("telephone-event/8000", 101)])
    );
    assert!(text.contains("a=fmtp:101 0-16\r\n"));
    let only_events = sdp(1, "m=audio 4000 RTP/AVP 101 13\na=rtpmap:101 telephone-event/8000");
    let why = reason(answer_as(
        &mut leg(),
        &only_events,
        "PCMU/8000 CN/8000 telephone-event/8000",
        Direction::SendRecv,
    ));
    assert_eq!(
        why,
        "no codec in common: they offer telephone-event/8000 and CN/8000 and we can PCMU/8000, CN/8000 and telephone-event/8000"
    );
}

#[test]
fn test_each_clock_has_its_events_and_those_of_8_khz_the_number_that_all_know() {
    let can = "opus/48000/2 PCMU/8000 telephone-event/48000 telephone-event/8000";
    let mut ours = leg();
    let text = offer(&mut ours, can);
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 96 0 97 101"]);
    assert!(text.contains("a=rtpmap:97 telephone-event/48000\r\n") && text.contains("a=rtpmap:101 telephone-event/8000\r\n"));
    // an answer of one clock leaves the events of the other
    let (_, plan) = answer(
        &mut leg(),
        text.as_bytes(),
        "opus/48000/2 telephone-event/48000 telephone-event/8000",
    );
    assert_eq!(
        numbers(&plan.send_codecs),
        pairs(&[("opus/48000/2", 96), ("telephone-event/48000", 97)])
    );
    let theirs = "m=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000";
    let plan = ours.accept_answer(&sdp(1, theirs)).unwrap();
    assert_eq!(
        numbers(&plan.send_codecs),
        pairs(&[("PCMU/8000", 0), ("telephone-event/8000", 101)])
    );
}

#[test]
fn test_an_asymmetric_answer_maps_both_directions() {
    let mut leg = leg();
    let text = offer(&mut leg, "opus/48000/2 PCMU/8000 telephone-event/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 96 0 101"]);
    let theirs = "m=audio 4000 RTP/AVP 110 96 120\na=rtpmap:110 PCMU/8000\na=rtpmap:96 telephone-event/8000\na=fmtp:96 0-11\n\
                  a=rtpmap:120 opus/48000/2";
    let plan = leg.accept_answer(&sdp(1, theirs)).unwrap();
    assert_eq!(
        numbers(&plan.send_codecs),
        pairs(&[("PCMU/8000", 110), ("telephone-event/8000", 96), ("opus/48000/2", 120)])
    );
    assert_eq!(
        numbers(&plan.receive_codecs),
        pairs(&[("PCMU/8000", 0), ("telephone-event/8000", 101), ("opus/48000/2", 96)])
    );
    assert_eq!(plan.send_codecs[1].fmtp(), Some("0-11"));
    assert_eq!(plan.receive_codecs[1].fmtp(), None);
}

#[test]
fn test_an_answer_may_leave_our_rtpmap_away() {
    let mut leg = leg();
    offer(&mut leg, "iLBC/8000 telephone-event/8000");
    let plan = leg.accept_answer(&sdp(1, "m=audio 4000 RTP/AVP 96 101")).unwrap();
    assert_eq!(
        numbers(&plan.send_codecs),
        pairs(&[("iLBC/8000", 96), ("telephone-event/8000", 101)])
    );
}

#[test]
fn test_payload_types_are_stable_over_the_session() {
    let mut leg = leg();
    let theirs = "m=audio 4000 RTP/AVP 97 100\na=rtpmap:97 opus/48000/2\na=rtpmap:100 telephone-event/48000";
    answer(&mut leg, &sdp(1, theirs), "opus/48000/2 telephone-event/48000");
    let text = offer(&mut leg, "iLBC/8000 telephone-event/48000 opus/48000/2 iLBC/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 96 100 97"]);
    leg.withdraw();
    let text = offer(&mut leg, "speex/8000 iLBC/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 98 96"]);
}

#[test]
fn test_a_wanted_payload_type_is_given_while_it_is_free() {
    let can = [codec("opus/48000/2").numbered(107), codec("iLBC/8000").numbered(107)];
    let text = leg().offer(&ours(&can)).unwrap();
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 107 96"]);
    let many: Vec<Codec> = (1..80).map(|rate| codec(&format!("x/{rate}"))).collect();
    assert_eq!(
        leg().offer(&ours(&many)),
        Err(DescribeError::Argument("more codecs than payload types"))
    );
}
