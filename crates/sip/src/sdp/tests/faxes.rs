//! T.38 in place of audio: offered, answered, refused, and audio again.

use super::*;
use crate::sdp::Fax;

const OFFER: &str = "m=image 6000 udptl t38\na=T38FaxVersion:0\na=t38maxbitrate:14400\na=T38FaxFillBitRemoval\n\
    a=T38FaxRateManagement:transferredTCF\na=T38FaxUdpEC:t38UDPRedundancy\na=X-Unknown:1\na=T38FaxVersion:3";

fn attributes(fax: &Fax) -> Vec<String> {
    let text = |(name, value): &(String, Option<String>)| match value {
        Some(value) => format!("{name}:{value}"),
        None => name.clone(),
    };
    fax.attributes.iter().map(text).collect()
}

const KEPT: [&str; 5] = [
    "T38FaxVersion:0",
    "T38MaxBitRate:14400",
    "T38FaxFillBitRemoval",
    "T38FaxRateManagement:transferredTCF",
    "T38FaxUdpEC:t38UDPRedundancy",
];

/// A leg with audio at 198.51.100.1:4000.
fn talking() -> Describer {
    let mut leg = leg();
    answer(&mut leg, &sdp(1, "m=audio 4000 RTP/AVP 0"), "PCMU/8000");
    leg
}

#[test]
fn test_an_offer_of_t38_is_read_with_the_known_attributes_each_once() {
    let leg = talking();
    let offer = leg.read_offer_or_fax(&sdp(2, OFFER)).unwrap();
    let fax = offer.fax().unwrap();
    assert_eq!(fax.remote, Some("198.51.100.1:6000".parse().unwrap()));
    assert_eq!(attributes(fax), KEPT);
    assert!(offer.audio().codecs.is_empty() && !offer.audio().enabled);
}

#[test]
fn test_who_wants_audio_alone_refuses_it() {
    let mut leg = talking();
    assert!(reason(leg.read_offer(&sdp(2, OFFER))).starts_with("they offer image"));
    let offer = leg.read_offer_or_fax(&sdp(2, OFFER)).unwrap();
    assert_eq!(
        reason(leg.answer(&offer, &ours(&codecs("PCMU/8000")))),
        "they offer a fax and we can audio"
    );
}

#[test]
fn test_where_audio_is_offered_too_the_fax_is_refused_in_its_place() {
    let mut leg = talking();
    let body = sdp(2, "m=audio 4000 RTP/AVP 0\nm=image 6000 udptl t38");
    assert!(leg.read_offer_or_fax(&body).unwrap().fax().is_none());
    let (text, _) = answer(&mut leg, &body, "PCMU/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 0", "m=image 0 udptl t38"]);
}

#[test]
fn test_an_answer_of_t38_keeps_the_order_and_gives_the_plan() {
    let mut leg = talking();
    let offer = leg.read_offer_or_fax(&sdp(2, &format!("m=audio 0 RTP/AVP 0\n{OFFER}"))).unwrap();
    let theirs = offer.fax().unwrap().attributes.clone();
    let (text, plan) = leg.answer_fax(&offer, US.parse().unwrap(), 20_000, &theirs).unwrap();
    assert_eq!(media_lines(&text), ["m=audio 0 RTP/AVP 0", "m=image 20000 udptl t38"]);
    assert!(text.contains("a=T38MaxBitRate:14400\r\na=T38FaxFillBitRemoval\r\n"));
    let fax = plan.fax.as_ref().unwrap();
    assert_eq!((fax.remote, plan.remote_rtp), (Some("198.51.100.1:6000".parse().unwrap()), None));
    assert!(plan.send_codecs.is_empty() && !plan.held);
    assert_eq!(version(&text), 2);
}

#[test]
fn test_our_offer_takes_the_place_of_the_audio_and_their_answer_gives_the_plan() {
    let mut leg = talking();
    let given = [("T38FaxVersion".to_owned(), Some("0".to_owned())), ("X-Other".to_owned(), None)];
    let text = leg.offer_fax(US.parse().unwrap(), 20_000, &given).unwrap();
    assert_eq!(media_lines(&text), ["m=image 20000 udptl t38"]);
    assert!(text.contains("a=T38FaxVersion:0\r\n") && !text.contains("X-Other"));
    let plan = leg.accept_answer(&sdp(2, OFFER)).unwrap();
    assert_eq!(attributes(plan.fax.as_ref().unwrap()), KEPT);
}

#[test]
fn test_a_refused_fax_leaves_the_audio_that_stood() {
    for refusal in [
        "m=image 0 udptl t38",
        "m=audio 4000 RTP/AVP 0",
        "m=audio 0 RTP/AVP 0\nm=image 6000 udptl t38",
    ] {
        let mut leg = talking();
        leg.offer_fax(US.parse().unwrap(), 20_000, &[]).unwrap();
        reason(leg.accept_answer(&sdp(2, refusal)).cloned());
        leg.withdraw();
        assert_eq!(
            leg.plan().unwrap().remote_rtp,
            Some("198.51.100.1:4000".parse().unwrap()),
            "{refusal}"
        );
    }
}

#[test]
fn test_audio_comes_back_by_a_further_offer_from_either_side() {
    let mut leg = talking();
    let offer_of_theirs = leg.read_offer_or_fax(&sdp(2, OFFER)).unwrap();
    leg.answer_fax(&offer_of_theirs, US.parse().unwrap(), 20_000, &[]).unwrap();
    let (text, plan) = answer(&mut leg, &sdp(3, "m=audio 4000 RTP/AVP 0"), "PCMU/8000");
    assert_eq!(media_lines(&text), ["m=audio 20000 RTP/AVP 0"]);
    assert!(plan.fax.is_none() && plan.remote_rtp.is_some());

    leg.offer_fax(US.parse().unwrap(), 20_000, &[]).unwrap();
    leg.accept_answer(&sdp(4, OFFER)).unwrap();
    assert_eq!(media_lines(&offer(&mut leg, "PCMU/8000")), ["m=audio 20000 RTP/AVP 0"]);
    let plan = leg.accept_answer(&sdp(5, "m=audio 4000 RTP/AVP 0")).unwrap();
    assert_eq!((plan.fax.is_none(), plan.send_codecs.len()), (true, 1));
}

#[test]
fn test_what_may_not_stand_on_a_line_does_not_cross() {
    let mut leg = talking();
    let long = "x".repeat(65);
    let bad = [
        ("T38FaxVersion", "0\r\nm=audio 1"),
        ("T38VendorInfo", long.as_str()),
        ("T38FaxMaxBuffer", ""),
    ];
    let given: Vec<_> = bad
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
        .collect();
    let text = leg.offer_fax(US.parse().unwrap(), 20_000, &given).unwrap();
    assert!(text.ends_with("m=image 20000 udptl t38\r\na=T38FaxMaxBuffer\r\n"), "{text}");
}
