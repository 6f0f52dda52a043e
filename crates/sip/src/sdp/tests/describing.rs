//! Directions, addresses, media lines, versions and states.

use std::net::IpAddr;

use super::*;

#[test]
fn test_every_direction_is_answered_by_rfc3264_section_6_1() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let rows = [
        (SendRecv, SendRecv, SendRecv, false),
        (SendRecv, SendOnly, SendOnly, false),
        (SendRecv, RecvOnly, RecvOnly, false),
        (SendRecv, Inactive, Inactive, false),
        (SendOnly, SendRecv, RecvOnly, true),
        (SendOnly, SendOnly, Inactive, true),
        (SendOnly, RecvOnly, RecvOnly, true),
        (RecvOnly, SendRecv, SendOnly, false),
        (RecvOnly, RecvOnly, Inactive, false),
        (Inactive, SendRecv, Inactive, true),
    ];
    for (theirs, willing, expected, held) in rows {
        let media = format!("m=audio 4000 RTP/AVP 0\na={}", theirs.name());
        let (text, plan) = answer_as(&mut leg(), &sdp(1, &media), "PCMU/8000", willing).unwrap();
        assert!(text.contains(&format!("a={}\r\n", expected.name())), "{theirs:?} {willing:?}");
        assert_eq!((plan.direction, plan.held), (expected, held), "{theirs:?} {willing:?}");
        // The same on the session level, and as the answer to an offer of ours.
        let session = String::from_utf8(sdp(1, "m=audio 4000 RTP/AVP 0"))
            .unwrap()
            .replace("m=audio", &format!("a={}\r\nm=audio", theirs.name()));
        let (_, plan) = answer_as(&mut leg(), session.as_bytes(), "PCMU/8000", willing).unwrap();
        assert_eq!((plan.direction, plan.held), (expected, held));
        let mut offerer = leg();
        let can = codecs("PCMU/8000");
        offerer
            .offer(&Ours {
                direction: willing,
                ..ours(&can)
            })
            .unwrap();
        let plan = offerer.accept_answer(&sdp(1, &media)).unwrap();
        assert_eq!((plan.direction, plan.held), (expected, held));
    }
}

#[test]
fn test_an_unspecified_address_is_hold() {
    let zero = |level: &str| {
        let text = String::from_utf8(sdp(1, "m=audio 4000 RTP/AVP 0")).unwrap();
        match level {
            "session" => text.replace("c=IN IP4 198.51.100.1", "c=IN IP4 0.0.0.0"),
            _ => format!("{text}c=IN IP4 0.0.0.0\r\n"),
        }
    };
    for level in ["session", "media"] {
        let mut leg = leg();
        let read = leg.read_offer(zero(level).as_bytes()).unwrap();
        assert_eq!((read.audio().held(), read.audio().direction), (true, Direction::SendRecv));
        let (text, plan) = answer(&mut leg, zero(level).as_bytes(), "PCMU/8000");
        assert!(text.contains("a=recvonly") && text.contains("c=IN IP4 192.0.2.9"));
        assert_eq!(
            (plan.remote_rtp, plan.remote_rtcp, plan.held, plan.direction),
            (None, None, true, Direction::RecvOnly)
        );
    }
    let overridden = format!("{}c=IN IP4 203.0.113.4\r\n", zero("session"));
    let (_, plan) = answer(&mut leg(), overridden.as_bytes(), "PCMU/8000");
    assert_eq!((plan.remote_rtp, plan.held), (Some("203.0.113.4:4000".parse().unwrap()), false));
    let media_direction_wins = sdp(1, "a=sendonly\nm=audio 4000 RTP/AVP 0\na=sendrecv");
    assert!(!answer(&mut leg(), &media_direction_wins, "PCMU/8000").1.held);
}

#[test]
fn test_the_version_rises_only_on_change() {
    let mut leg = leg();
    let first = offer(&mut leg, "PCMU/8000");
    let theirs = sdp(1, "m=audio 4000 RTP/AVP 0");
    leg.accept_answer(&theirs).unwrap();
    assert_eq!(offer(&mut leg, "PCMU/8000"), first);
    leg.accept_answer(&theirs).unwrap();
    let refresh = leg.read_offer(&theirs).unwrap();
    assert!(refresh.unchanged());
    assert_eq!(answer(&mut leg, &theirs, "PCMU/8000").0, first);
    let can = codecs("PCMU/8000");
    let held = leg
        .offer(&Ours {
            direction: Direction::SendOnly,
            ..ours(&can)
        })
        .unwrap();
    assert_eq!((version(&first), version(&held)), (1, 2));
    leg.withdraw();
    assert_eq!(leg.local(), Some(first.as_str()));
    assert_eq!(offer(&mut leg, "PCMU/8000"), first);
    leg.withdraw();
    // What was once sent as 2 and refused does not come back under that number.
    assert_eq!(
        version(
            &leg.offer(&Ours {
                port: 20_002,
                ..ours(&can)
            })
            .unwrap()
        ),
        3
    );
    assert!(!leg.read_offer(&sdp(2, "m=audio 4000 RTP/AVP 0")).unwrap().unchanged());
    assert!(!leg.read_offer(&sdp(1, "m=audio 4002 RTP/AVP 0")).unwrap().unchanged());
}

#[test]
fn test_a_failed_call_changes_nothing() {
    let mut leg = leg();
    answer(&mut leg, &sdp(1, "m=audio 4000 RTP/AVP 0"), "PCMU/8000");
    let (local, plan) = (leg.local().map(str::to_owned), leg.plan().cloned());
    assert!(answer_as(&mut leg, &sdp(2, "m=audio 4000 RTP/AVP 18"), "PCMU/8000", Direction::SendRecv).is_err());
    offer(&mut leg, "PCMA/8000");
    assert!(leg.accept_answer(b"nonsense").is_err());
    assert!(leg.accept_answer(&sdp(2, "m=audio 4000 RTP/AVP 18")).is_err());
    assert!(leg.offer_pending());
    assert_eq!(
        leg.offer(&ours(&codecs("PCMU/8000"))),
        Err(DescribeError::State("an offer is pending"))
    );
    let theirs = sdp(2, "m=audio 4000 RTP/AVP 0");
    assert_eq!(
        answer_as(&mut leg, &theirs, "PCMU/8000", Direction::SendRecv),
        Err(DescribeError::State("an offer of ours is pending"))
    );
    leg.withdraw();
    assert_eq!(
        (leg.local().map(str::to_owned), leg.plan().cloned(), leg.offer_pending()),
        (local, plan, false)
    );
    assert!(leg.read_offer(&sdp(1, "m=audio 4000 RTP/AVP 0")).unwrap().unchanged());
    assert_eq!(
        leg.accept_answer(&theirs),
        Err(DescribeError::State("no offer waits for an answer"))
    );
}

#[test]
fn test_a_fork_or_a_200_after_183_answers_the_same_offer_again() {
    let mut leg = leg();
    let text = offer(&mut leg, "PCMU/8000 PCMA/8000");
    leg.accept_answer(&sdp(1, "m=audio 4000 RTP/AVP 0")).unwrap();
    assert!(!leg.offer_pending());
    let plan = leg.accept_answer(&sdp(1, "m=audio 5000 RTP/AVP 8")).unwrap();
    assert_eq!(
        (plan.remote_rtp, numbers(&plan.send_codecs)),
        (Some("198.51.100.1:5000".parse().unwrap()), pairs(&[("PCMA/8000", 8)]))
    );
    assert_eq!(leg.local(), Some(text.as_str()));
}

#[test]
fn test_media_lines_never_become_fewer() {
    let mut leg = leg();
    let theirs = sdp(
        1,
        "m=video 6000 RTP/AVP 31 34\na=rtpmap:31 H261/90000\nm=audio 4000 RTP/AVP 0\nm=image 7000 udptl t38\na=T38FaxVersion:0",
    );
    let (text, plan) = answer(&mut leg, &theirs, "PCMU/8000");
    let slots = ["m=video 0 RTP/AVP 31 34", "m=audio 20000 RTP/AVP 0", "m=image 0 udptl t38"];
    assert_eq!(media_lines(&text), slots);
    assert_eq!(plan.remote_rtp, Some("198.51.100.1:4000".parse().unwrap()));
    let why = reason(leg.read_offer(&sdp(2, "m=audio 4000 RTP/AVP 0")));
    assert_eq!(why, "their new offer has 1 media lines where 3 stood");
    let ours = offer(&mut leg, "PCMU/8000");
    assert_eq!(media_lines(&ours), slots);
    assert_eq!(ours, text);
    let why = reason(leg.accept_answer(&sdp(2, "m=audio 4000 RTP/AVP 0")));
    assert_eq!(why, "they answer with 1 media lines and we offered 3");
    let plan = leg
        .accept_answer(&sdp(2, "m=video 0 RTP/AVP 31\nm=audio 4002 RTP/AVP 0\nm=image 0 udptl t38"))
        .unwrap();
    assert_eq!(plan.remote_rtp, Some("198.51.100.1:4002".parse().unwrap()));
}

#[test]
fn test_encrypted_audio_is_refused_beside_plain_audio_and_explained_alone() {
    let both = sdp(
        1,
        "m=audio 4000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\nm=audio 4002 RTP/AVP 0",
    );
    let (text, plan) = answer(&mut leg(), &both, "PCMU/8000");
    assert_eq!(media_lines(&text), ["m=audio 0 RTP/SAVP 0", "m=audio 20000 RTP/AVP 0"]);
    assert_eq!(plan.remote_rtp, Some("198.51.100.1:4002".parse().unwrap()));
    let rows = [
        ("m=audio 4000 RTP/SAVP 0", "they offer audio over RTP/SAVP and we can RTP/AVP"),
        (
            "m=video 4000 RTP/AVP 31\nm=image 4 udptl t38",
            "they offer video, image and we can audio",
        ),
        ("m=audio 0 RTP/AVP 0", "their only audio line has port 0"),
        ("", "they offer no media at all"),
        (
            "m=audio 4000 RTP/AVP 18 9",
            "no codec in common: they offer G729/8000 and G722/8000 and we can PCMU/8000",
        ),
        (
            "m=audio 4000 RTP/AVP 96",
            "no codec in common: they offer no codec known here and we can PCMU/8000",
        ),
        (
            "m=audio 4000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127",
            "their connection address is multicast or broadcast",
        ),
        (
            "m=audio 4000 RTP/AVP 0\nc=IN IP4 host.example",
            "their connection address is a name, not an IP address",
        ),
        (
            "m=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1",
            "their audio is at an IPv6 address and ours at an IPv4 one",
        ),
    ];
    for (media, why) in rows {
        assert_eq!(reason(answer_as(&mut leg(), &sdp(1, media), "PCMU/8000", Direction::SendRecv)), why);
    }
}

#[test]
fn test_avpf_is_answered_as_avpf() {
    let (text, _) = answer(&mut leg(), &sdp(1, "m=audio 4000 RTP/AVPF 0"), "PCMU/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVPF 0"]);
}

#[test]
fn test_audio_ended_in_a_later_offer_keeps_its_slot_and_comes_back() {
    let mut leg = leg();
    answer(&mut leg, &sdp(1, "m=audio 4000 RTP/AVP 0"), "PCMU/8000");
    let (text, plan) = answer(&mut leg, &sdp(2, "m=audio 0 RTP/AVP 0"), "PCMU/8000");
    assert_eq!(media_lines(&text), ["m=audio 0 RTP/AVP 0"]);
    assert_eq!(
        (plan.remote_rtp, plan.direction, plan.held, plan.send_codecs.len()),
        (None, Direction::Inactive, true, 0)
    );
    let (text, plan) = answer(&mut leg, &sdp(3, "m=audio 4000 RTP/AVP 0"), "PCMU/8000");
    assert_eq!((media_lines(&text), plan.held), (vec!["m=audio 20000 RTP/AVP 0"], false));
}

#[test]
fn test_a_refused_audio_line_is_an_error_first_and_silence_later() {
    let refusal = sdp(1, "m=audio 0 RTP/AVP 0");
    let mut leg = leg();
    offer(&mut leg, "PCMU/8000");
    assert_eq!(reason(leg.accept_answer(&refusal)), "they refuse the audio that we offer");
    leg.accept_answer(&sdp(1, "m=audio 4000 RTP/AVP 0")).unwrap();
    offer(&mut leg, "PCMU/8000");
    assert!(leg.accept_answer(&refusal).unwrap().held);
    let text = offer(&mut leg, "PCMU/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 0"]);
    let other = reason(leg.accept_answer(&sdp(1, "m=video 4000 RTP/AVP 31")));
    assert_eq!(other, "we offered audio over RTP/AVP and they answer another media line, RTP/AVP");
}

#[test]
fn test_the_rtcp_attribute_of_rfc3605_is_honoured() {
    let rtcp = |attribute: &str| {
        answer(&mut leg(), &sdp(1, &format!("m=audio 4000 RTP/AVP 0\n{attribute}")), "PCMU/8000")
            .1
            .remote_rtcp
    };
    let at = |text: &str| Some(text.parse().unwrap());
    assert_eq!(rtcp("a=rtcp:53020"), at("198.51.100.1:53020"));
    assert_eq!(rtcp("a=rtcp:53020 IN IP4 126.16.64.4"), at("126.16.64.4:53020"));
    assert_eq!(rtcp("a=rtcp:0"), at("198.51.100.1:4001"));
    assert_eq!(rtcp("a=rtcp:99999"), at("198.51.100.1:4001"));
    assert_eq!(rtcp("a=rtcp:53020 IN IP4 239.0.0.1"), None);
    assert_eq!(rtcp("a=rtcp:53020 IN IP6 ::1"), None);
    assert_eq!(
        answer(&mut leg(), &sdp(1, "m=audio 65535 RTP/AVP 0"), "PCMU/8000").1.remote_rtcp,
        None
    );
}

#[test]
fn test_ptime_is_theirs_else_ours() {
    let can = codecs("PCMU/8000");
    let ptime = |attribute: &str| {
        let mut leg = leg();
        let offer = leg.read_offer(&sdp(1, &format!("m=audio 4000 RTP/AVP 0\n{attribute}"))).unwrap();
        let (text, plan) = leg
            .answer(
                &offer,
                &Ours {
                    ptime_ms: Some(20),
                    ..ours(&can)
                },
            )
            .unwrap();
        assert!(text.contains("a=ptime:20\r\n"));
        plan.ptime_ms
    };
    assert_eq!(ptime("a=ptime:30"), Some(30));
    assert_eq!(ptime("a=ptime:30.0"), Some(30));
    for useless in ["a=ptime:0", "a=ptime:x", "a=ptime:99999999999", "a=ptime:-5", "a=x"] {
        assert_eq!(ptime(useless), Some(20));
    }
    assert_eq!(ptime("a=maxptime:10"), Some(10));
    assert_eq!(ptime("a=ptime:60\na=maxptime:40"), Some(40));
    assert_eq!(ptime("a=ptime:30\na=maxptime:40"), Some(30));
    assert_eq!(ptime("a=maxptime:x"), Some(20));
    let none = Ours {
        ptime_ms: Some(0),
        ..ours(&can)
    };
    assert_eq!(leg().offer(&none), Err(DescribeError::Argument("a packet holds at least 1 ms")));
}

#[test]
fn test_ipv6_is_described_and_read() {
    let theirs = "v=0\no=- 1 1 IN IP6 2001:db8::1\ns=-\nc=IN IP6 2001:db8::1\nt=0 0\nm=audio 4000 RTP/AVP 8\n";
    let mut leg = leg();
    let offer = leg.read_offer(theirs.as_bytes()).unwrap();
    let can = codecs("PCMA/8000");
    let address: IpAddr = "2001:db8::9".parse().unwrap();
    let (text, plan) = leg.answer(&offer, &Ours { address, ..ours(&can) }).unwrap();
    assert!(text.contains("o=- 7 1 IN IP6 2001:db8::9\r\n") && text.contains("c=IN IP6 2001:db8::9\r\n"));
    assert_eq!(plan.remote_rtp, Some("[2001:db8::1]:4000".parse().unwrap()));
    assert!(
        leg.read_offer(theirs.replace("c=IN IP6 2001:db8::1", "c=IN IP6 ::").as_bytes())
            .unwrap()
            .audio()
            .held()
    );
}

#[test]
fn test_the_time_line_of_the_offer_is_answered() {
    let theirs = String::from_utf8(sdp(1, "m=audio 4000 RTP/AVP 0")).unwrap();
    let (text, _) = answer(
        &mut leg(),
        theirs.replace("t=0 0", "t=3034423619 3042462419").as_bytes(),
        "PCMU/8000",
    );
    assert!(text.contains("t=3034423619 3042462419\r\n"));
    let (text, _) = answer(&mut leg(), theirs.replace("t=0 0", "t=now later").as_bytes(), "PCMU/8000");
    assert!(text.contains("t=0 0\r\n"));
}

// --- one port for RTP and RTCP (RFC 5761) -----------------------------------------------------------------------------------------------

fn muxed(codecs: &[Codec]) -> Ours<'_> {
    Ours {
        rtcp_mux: true,
        ..ours(codecs)
    }
}

#[test]
fn test_rtcp_shares_the_port_where_both_agree() {
    for (offered, willing, want) in [(true, true, true), (true, false, false), (false, true, false)] {
        let attribute = if offered { "\na=rtcp-mux" } else { "" };
        let offer = sdp(1, &format!("m=audio 4000 RTP/AVP 0\na=rtcp:4777{attribute}"));
        let mut leg = leg();
        let offer = leg.read_offer(&offer).unwrap();
        assert_eq!(offer.audio().rtcp_mux, offered);
        let can = codecs("PCMU/8000");
        let (text, plan) = leg
            .answer(
                &offer,
                &Ours {
                    rtcp_mux: willing,
                    ..ours(&can)
                },
            )
            .unwrap();
        assert_eq!((plan.rtcp_mux, text.contains("a=rtcp-mux\r\n")), (want, want));
        let port = if want { 4000 } else { 4777 };
        assert_eq!(plan.remote_rtcp.unwrap().port(), port);
    }
}

#[test]
fn test_our_offer_of_one_port_holds_once_they_answer_it() {
    for (attribute, want) in [("\na=rtcp-mux", true), ("", false)] {
        let mut leg = leg();
        let text = leg.offer(&muxed(&codecs("PCMU/8000"))).unwrap();
        assert!(text.contains("a=rtcp-mux\r\n"));
        let plan = leg.accept_answer(&sdp(1, &format!("m=audio 4000 RTP/AVP 0{attribute}"))).unwrap();
        let port = if want { 4000 } else { 4001 };
        assert_eq!((plan.rtcp_mux, plan.remote_rtcp.unwrap().port()), (want, port));
    }
    let mut leg = leg();
    assert!(!offer(&mut leg, "PCMU/8000").contains("rtcp-mux"));
    let plan = leg.accept_answer(&sdp(1, "m=audio 4000 RTP/AVP 0\na=rtcp-mux")).unwrap();
    assert!(!plan.rtcp_mux, "they agree to what nobody offered");
}
