//! Properties that hold for every description and every offer.

use proptest::prelude::*;

use super::*;

const CAN: &str = "PCMU/8000 PCMA/8000 opus/48000/2 iLBC/8000 telephone-event/8000 telephone-event/48000";

fn line() -> impl Strategy<Value = Line> {
    let kind = prop_oneof![4 => Just('a'), 1 => prop::sample::select(vec!['i', 'b', 'k', 'r', 'X'])];
    (kind, "[^\\r\\n\\x00]{0,40}").prop_map(|(kind, value)| Line::new(kind, value))
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    prop::collection::vec(line(), 0..8)
}

fn media() -> impl Strategy<Value = Media> {
    let formats = prop::collection::vec("[!-~]{1,6}", 0..8);
    ("[!-~]{1,8}", any::<u16>(), any::<Option<u32>>(), "[!-~]{1,10}", formats, lines()).prop_map(
        |(kind, port, port_count, protocol, formats, lines)| Media {
            kind,
            port,
            port_count,
            protocol,
            formats,
            lines,
        },
    )
}

fn description() -> impl Strategy<Value = Description> {
    (any::<u64>(), any::<u64>(), lines(), prop::collection::vec(media(), 0..5)).prop_map(|(id, version, lines, media)| {
        let mut session = vec![Line::new('v', "0"), Line::new('o', format!("- {id} {version} IN IP4 192.0.2.1"))];
        session.extend(lines);
        Description { session, media }
    })
}

/// Offers as peers might make them, good and bad.
fn offered() -> impl Strategy<Value = String> {
    let audio = (
        any::<u16>(),
        prop::sample::subsequence(vec![0_u8, 3, 8, 96, 97, 101, 102], 0..7).prop_shuffle(),
        0..5_usize,
    );
    let audio = audio.prop_map(|(port, formats, direction)| {
        let formats: String = formats.iter().map(|number| format!(" {number}")).collect();
        let direction = ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive", "c=IN IP4 0.0.0.0"][direction];
        let maps =
            "a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 ILBC/8000\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000";
        format!("m=audio {port} RTP/AVP{formats}\r\n{maps}\r\n{direction}\r\n")
    });
    let other = prop::sample::select(vec![
        "m=video 9000 RTP/AVP 31\r\n",
        "m=audio 9002 RTP/SAVP 0\r\n",
        "m=image 9004 udptl t38\r\n",
    ]);
    let any_line = prop_oneof![2 => audio, 1 => other.prop_map(str::to_owned)];
    prop::collection::vec(any_line, 0..4).prop_map(|media| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{}",
            media.concat()
        )
    })
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(vec![
        Direction::SendRecv,
        Direction::SendOnly,
        Direction::RecvOnly,
        Direction::Inactive,
    ])
}

proptest! {
    #[test]
    fn test_parse_reads_what_build_wrote(description in description()) {
        let text = description.to_string();
        let parsed = Description::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&parsed, &description);
        prop_assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn test_no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = leg().read_offer(&body);
        let _ = leg().read_offer(&[b"v=0\no=- 1 1 IN IP4 1.2.3.4\nc=IN IP4 1.2.3.4\nm=audio 4 RTP/AVP 0\n", body.as_slice()].concat());
    }

    #[test]
    fn test_an_answer_fits_its_offer(offer in offered(), willing in direction()) {
        let can = codecs(CAN);
        let ours = Ours { address: "192.0.2.9".parse().unwrap(), port: 20_000, codecs: &can, direction: willing, ptime_ms: None, rtcp_mux: false, };
        let mut answerer = leg();
        let Ok(read) = answerer.read_offer(offer.as_bytes()) else { return Ok(()) };
        let Ok((text, plan)) = answerer.answer(&read, &ours) else { return Ok(()) };
        let plan = plan.clone();
        let answer = Description::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(answer.media.len(), read.description().media.len());
        for (index, (our, their)) in answer.media.iter().zip(&read.description().media).enumerate() {
            prop_assert_eq!((&our.kind, &our.protocol), (&their.kind, &their.protocol));
            prop_assert_eq!(our.port != 0, index == read.audio().index);
            // RFC 3264 §6.1: nothing that was not offered, in the order of the offer.
            let places: Vec<_> = our.formats.iter().map(|format| their.formats.iter().position(|known| known == format)).collect();
            prop_assert!(places.iter().all(Option::is_some) && places.is_sorted());
        }
        let theirs = read.audio().direction;
        prop_assert!(!plan.direction.sends() || (theirs.receives() && willing.sends() && plan.remote_rtp.is_some()));
        prop_assert_eq!(plan.direction.receives(), theirs.sends() && willing.receives());
        prop_assert_eq!(&plan.send_codecs.len(), &plan.receive_codecs.len());
        prop_assert!(plan.send_codecs.iter().any(|codec| !codec.is_companion()));
        // The same offer again is unchanged and answered with the same bytes.
        let again = answerer.read_offer(offer.as_bytes()).unwrap();
        prop_assert!(again.unchanged());
        prop_assert_eq!(answerer.answer(&again, &ours).unwrap(), (text, &plan));
    }

    #[test]
    fn test_two_legs_agree_on_mirrored_plans(
        a in prop::sample::subsequence(codecs(CAN), 1..6).prop_shuffle(), b in prop::sample::subsequence(codecs(CAN), 1..6),
        a_willing in direction(), b_willing in direction(),
    ) {
        let (mut alice, mut bob) = (leg(), leg());
        let alices = Ours { address: "192.0.2.1".parse().unwrap(), port: 20_000, codecs: &a, direction: a_willing, ptime_ms: Some(20), rtcp_mux: false, };
        let bobs = Ours { address: "192.0.2.2".parse().unwrap(), port: 30_000, codecs: &b, direction: b_willing, ptime_ms: Some(30), rtcp_mux: false, };
        let Ok(offer) = alice.offer(&alices) else { return Ok(()) };
        let read = bob.read_offer(offer.as_bytes()).unwrap();
        let Ok((answer, bob_plan)) = bob.answer(&read, &bobs) else { return Ok(()) };
        let alice_plan = alice.accept_answer(answer.as_bytes()).unwrap();
        prop_assert_eq!(alice_plan.direction, bob_plan.direction.reversed());
        let numbers = |codecs: &[Codec]| codecs.iter().map(|codec| (codec.to_string(), codec.payload_type())).collect::<Vec<_>>();
        prop_assert_eq!(numbers(&alice_plan.send_codecs), numbers(&bob_plan.receive_codecs));
        prop_assert_eq!(numbers(&alice_plan.receive_codecs), numbers(&bob_plan.send_codecs));
        prop_assert_eq!((alice_plan.ptime_ms, bob_plan.ptime_ms), (Some(30), Some(20)));
    }
}
