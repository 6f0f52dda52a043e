//! The policy on offers and answers, the keys that stand, those that change, and that none is printed.

use super::*;
use crate::sdp::Direction;
use crate::sdp::codec::Codec;
use crate::sdp::describer::{DescribeError, Describer};
use crate::sdp::description::Description;
use crate::sdp::negotiate::Ours;

const PLAIN: &str = "m=audio 4000 RTP/AVP 0\r\n";
const SAVP: &str = "m=audio 4002 RTP/SAVP 0\r\n";

/// A line with a key of ours that is filled with one byte.
fn crypto(tag: u32, suite: &str, fill: u8) -> String {
    let suite = Suite::named(suite).unwrap();
    let key = Keyring::new(Zeroizing::new([fill; 32])).make(suite).unwrap();
    format!("a={}\r\n", Crypto { tag, suite, key }.line().value)
}

fn body(media: &[&str]) -> Vec<u8> {
    let session = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
    [session, &media.concat()].concat().into_bytes()
}

fn leg(policy: Policy) -> Describer {
    let security = Security {
        policy,
        keys_may_cross: true,
        ..Security::default()
    };
    let secret = Zeroizing::new([policy as u8 + 1; 32]);
    Describer::new(1, "-", "-").unwrap().secured(security, secret)
}

fn with_ours<T>(step: impl FnOnce(&Ours<'_>) -> T) -> T {
    let codecs = [Codec::of_static_type(0).unwrap()];
    step(&Ours {
        address: [192, 0, 2, 1].into(),
        port: 16_384,
        codecs: &codecs,
        direction: Direction::SendRecv,
        ptime_ms: None,
        rtcp_mux: false,
    })
}

fn offer(leg: &mut Describer) -> Result<String, DescribeError> {
    with_ours(|ours| leg.offer(ours))
}

fn answer(leg: &mut Describer, body: &[u8]) -> Result<(String, MediaPlan), DescribeError> {
    let offer = leg.read_offer(body)?;
    with_ours(|ours| leg.answer(&offer, ours).map(|(text, plan)| (text, plan.clone())))
}

fn lines(text: &str) -> Vec<Crypto> {
    Description::parse(text.as_bytes())
        .unwrap()
        .media
        .iter()
        .flat_map(cryptos)
        .collect()
}

fn reason<T>(result: Result<T, DescribeError>) -> String {
    match result {
        Err(DescribeError::Negotiation(error)) => error.reason,
        _ => panic!("it was agreed"),
    }
}

#[test]
fn test_an_offer_has_every_suite_on_the_protocol_of_its_policy() {
    for (policy, protocol, count) in [
        (Policy::Never, "RTP/AVP", 0),
        (Policy::Offered, "RTP/AVP", 6),
        (Policy::Required, "RTP/SAVP", 6),
    ] {
        let text = offer(&mut leg(policy)).unwrap();
        assert!(text.contains(&format!("m=audio 16384 {protocol} 0")), "{text}");
        let tags: Vec<u32> = lines(&text).iter().map(|crypto| crypto.tag).collect();
        assert_eq!(tags, (1..=count).collect::<Vec<u32>>());
    }
}

#[test]
fn test_of_a_secure_line_beside_a_plain_one_the_policy_takes_one() {
    let key = crypto(1, "AES_CM_128_HMAC_SHA1_80", 9);
    for media in [[PLAIN, SAVP, &key], [SAVP, &key, PLAIN]] {
        for (policy, port, secure) in [
            (Policy::Never, 4000, false),
            (Policy::Offered, 4002, true),
            (Policy::Required, 4002, true),
        ] {
            let (text, plan) = answer(&mut leg(policy), &body(&media)).unwrap();
            assert_eq!(plan.remote_rtp.unwrap().port(), port);
            assert_eq!(plan.keys.is_some(), secure);
            let refused = Description::parse(text.as_bytes()).unwrap();
            assert_eq!(refused.media.iter().filter(|media| media.port == 0).count(), 1);
        }
    }
}

#[test]
fn test_the_answer_takes_the_suite_that_we_like_best_under_its_tag() {
    let weak = crypto(1, "AES_CM_128_HMAC_SHA1_32", 8);
    let strong = crypto(7, "AES_256_CM_HMAC_SHA1_80", 9);
    let (text, plan) = answer(&mut leg(Policy::Offered), &body(&[SAVP, &weak, &strong])).unwrap();
    let [line] = &lines(&text)[..] else { panic!("{text}") };
    assert_eq!((line.tag, line.suite.name()), (7, "AES_256_CM_HMAC_SHA1_80"));
    let keys = plan.keys.unwrap();
    assert_eq!(keys.send, line.key);
    assert_eq!(
        strong,
        format!(
            "a={}\r\n",
            Crypto {
                tag: 7,
                key: keys.receive,
                ..line.clone()
            }
            .line()
            .value
        )
    );
}

#[test]
fn test_a_line_with_unsupported_parameters_is_as_if_it_were_not_there() {
    let strong = crypto(1, "AEAD_AES_256_GCM", 8).replace("\r\n", " UNENCRYPTED_SRTP\r\n");
    let weak = crypto(2, "AES_CM_128_HMAC_SHA1_80", 9);
    let (text, _) = answer(&mut leg(Policy::Required), &body(&[SAVP, &strong, &weak])).unwrap();
    assert_eq!(lines(&text)[0].tag, 2);
    let why = reason(answer(&mut leg(Policy::Offered), &body(&[SAVP, &strong])));
    assert_eq!(why, "they offer SRTP without a key and suite that we can use");
}

#[test]
fn test_what_a_policy_does_not_take_is_refused_in_words() {
    let key = crypto(1, "AEAD_AES_256_GCM", 8);
    let why = |policy, media: &[&str]| reason(answer(&mut leg(policy), &body(media)));
    assert_eq!(
        why(Policy::Required, &[PLAIN]),
        "they offer audio over plain RTP and SRTP is required"
    );
    assert_eq!(
        why(Policy::Never, &[SAVP, &key]),
        "they offer audio over RTP/SAVP and we can RTP/AVP"
    );
    let dtls = "m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n";
    assert_eq!(
        why(Policy::Required, &[dtls]),
        "they offer audio over UDP/TLS/RTP/SAVP and we can RTP/AVP"
    );
}

#[test]
fn test_keys_that_may_not_cross_are_neither_offered_nor_answered() {
    let deaf = |policy| {
        let security = Security {
            policy,
            ..Security::default()
        };
        Describer::new(1, "-", "-").unwrap().secured(security, Zeroizing::new([1; 32]))
    };
    assert!(lines(&offer(&mut deaf(Policy::Offered)).unwrap()).is_empty());
    let key = crypto(1, "AEAD_AES_256_GCM", 8);
    let (text, plan) = answer(&mut deaf(Policy::Offered), &body(&[PLAIN, &key])).unwrap();
    assert!(lines(&text).is_empty() && plan.keys.is_none());
    assert!(reason(answer(&mut deaf(Policy::Offered), &body(&[SAVP, &key]))).contains("not encrypted"));
    assert!(reason(offer(&mut deaf(Policy::Required))).contains("not encrypted"));
    assert!(reason(answer(&mut deaf(Policy::Required), &body(&[PLAIN]))).contains("not encrypted"));
}

#[test]
fn test_an_answer_that_takes_no_line_of_ours_is_none_or_plain() {
    let stranger = crypto(1, "AES_CM_128_HMAC_SHA1_80", 8);
    let mut required = leg(Policy::Required);
    offer(&mut required).unwrap();
    // Tag 1 of ours is another suite.
    let why = reason(required.accept_answer(&body(&[SAVP, &stranger])));
    assert_eq!(why, "they answer with SRTP and take no key that we offered");
    assert_eq!(
        reason(required.accept_answer(&body(&[PLAIN]))),
        "they answer with plain RTP and SRTP is required"
    );
    let mut offered = leg(Policy::Offered);
    offer(&mut offered).unwrap();
    assert!(offered.accept_answer(&body(&[PLAIN])).unwrap().keys.is_none());
    // What was declined is not offered again.
    assert!(lines(&offer(&mut offered).unwrap()).is_empty());
}

#[test]
fn test_our_own_key_is_not_taken_for_theirs() {
    let mut ours = leg(Policy::Required);
    let text = offer(&mut ours).unwrap();
    let echo = text.replace("16384", "4002");
    assert_eq!(reason(ours.accept_answer(echo.as_bytes())), "they send with our own SRTP key");
}

#[test]
fn test_an_unchanged_refresh_repeats_keys_and_version_and_a_renewal_neither() {
    let (mut ours, mut theirs) = (leg(Policy::Required), leg(Policy::Offered));
    let first = offer(&mut ours).unwrap();
    let (reply, _) = answer(&mut theirs, first.as_bytes()).unwrap();
    let keys = ours.accept_answer(reply.as_bytes()).unwrap().keys.clone();
    assert_eq!(offer(&mut ours).unwrap(), first);
    let (again, _) = answer(&mut theirs, first.as_bytes()).unwrap();
    assert_eq!(again, reply);
    assert_eq!(ours.accept_answer(again.as_bytes()).unwrap().keys, keys);
    ours.renew_keys();
    let renewed = offer(&mut ours).unwrap();
    let (renewing, plan) = answer(&mut theirs, renewed.as_bytes()).unwrap();
    assert!(lines(&renewed).iter().all(|line| !lines(&first).contains(line)));
    assert_ne!(lines(&renewing)[0].key, lines(&reply)[0].key);
    assert_ne!(plan.keys, keys);
    ours.accept_answer(renewing.as_bytes()).unwrap();
    assert_eq!(lines(&offer(&mut ours).unwrap()), lines(&renewed));
}

#[test]
fn test_a_renewal_that_is_refused_leaves_the_keys_and_never_shows_its_own_again() {
    let (mut ours, mut theirs) = (leg(Policy::Required), leg(Policy::Offered));
    let first = offer(&mut ours).unwrap();
    let (reply, _) = answer(&mut theirs, first.as_bytes()).unwrap();
    ours.accept_answer(reply.as_bytes()).unwrap();
    ours.renew_keys();
    let refused = offer(&mut ours).unwrap();
    ours.withdraw();
    let next = offer(&mut ours).unwrap();
    assert!(lines(&next).iter().all(|line| !lines(&refused).contains(line)));
    assert!(lines(&next).iter().all(|line| !lines(&first).contains(line)));
}

#[test]
fn test_a_key_that_was_given_up_does_not_come_back() {
    let key = crypto(1, "AEAD_AES_256_GCM", 8);
    let mut ours = leg(Policy::Offered);
    let (first, _) = answer(&mut ours, &body(&[SAVP, &key])).unwrap();
    answer(&mut ours, &body(&[PLAIN])).unwrap();
    let (second, _) = answer(&mut ours, &body(&[SAVP, &key])).unwrap();
    assert_ne!(lines(&first)[0].key, lines(&second)[0].key);
}

#[test]
fn test_a_fax_between_keeps_the_keys() {
    let key = crypto(1, "AEAD_AES_256_GCM", 8);
    let mut ours = leg(Policy::Required);
    let (first, _) = answer(&mut ours, &body(&[SAVP, &key])).unwrap();
    let fax = ours.read_offer_or_fax(&body(&["m=image 4000 udptl t38\r\n"])).unwrap();
    ours.answer_fax(&fax, [192, 0, 2, 1].into(), 16_384, &[]).unwrap();
    let back = offer(&mut ours).unwrap();
    assert_eq!(lines(&back), lines(&first));
}

#[test]
fn test_a_fork_makes_other_keys() {
    let key = crypto(1, "AEAD_AES_256_GCM", 8);
    let mut one = leg(Policy::Required);
    let mut other = one.fork(Zeroizing::new([77; 32]));
    let made = |leg: &mut Describer| lines(&answer(leg, &body(&[SAVP, &key])).unwrap().0)[0].key.clone();
    assert_ne!(made(&mut one), made(&mut other));
}

#[test]
fn test_no_state_prints_a_key() {
    let key = crypto(1, "AEAD_AES_256_GCM", 8);
    let mut ours = leg(Policy::Required);
    let offered = ours.read_offer(&body(&[SAVP, &key])).unwrap();
    let (text, plan) = answer(&mut ours, &body(&[SAVP, &key])).unwrap();
    offer(&mut ours).unwrap();
    let shown = format!("{ours:?} {offered:?} {plan:?}");
    for text in [text, key] {
        let secret = text.split("inline:").nth(1).unwrap().trim_end();
        assert!(!shown.contains(secret.get(..12).unwrap()), "{shown}");
    }
    assert!(!shown.contains("inline:"), "{shown}");
}
