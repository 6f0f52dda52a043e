//! Any body as a session description, then as an offer that we answer: the answer must read, line for line as the offer has them. And as a
//! trace shows it: without keys.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trunkline_sip::redaction::without_keys;
use trunkline_sip::sdp::{Codec, Crypto, Describer, Description, Direction, Ours, Policy, Security, read_capabilities};
use zeroize::Zeroizing;

fn answer(body: &[u8], lines: usize, policy: Policy) {
    let codecs: Vec<Codec> = [0, 8].iter().filter_map(|number| Codec::of_static_type(*number)).collect();
    let ours = Ours {
        address: [192, 0, 2, 1].into(),
        port: 16_384,
        codecs: &codecs,
        direction: Direction::SendRecv,
        ptime_ms: Some(20),
        rtcp_mux: true,
    };
    let security = Security {
        policy,
        keys_may_cross: true,
        ..Security::default()
    };
    let describer = Describer::new(1, "-", "-").expect("these are plain words");
    let mut describer = describer.secured(security, Zeroizing::new([7; 32]));
    let Ok(offer) = describer.read_offer_or_fax(body) else { return };
    let _ = (offer.audio(), offer.unchanged());
    let answered = match offer.fax().cloned() {
        Some(fax) => describer.answer_fax(&offer, ours.address, ours.port, &fax.attributes),
        None => describer.answer(&offer, &ours),
    };
    if let Ok((text, _)) = answered {
        let description = Description::parse(text.as_bytes()).expect("our answer is a description");
        // RFC 3264 §6: as many media lines as the offer.
        assert_eq!(description.media.len(), lines);
    }
    // The same body as the answer to an offer of ours.
    if describer.offer(&ours).is_ok() && describer.accept_answer(body).is_err() {
        describer.withdraw();
    }
    if describer.offer_fax(ours.address, ours.port, &[]).is_ok() && describer.accept_answer(body).is_err() {
        describer.withdraw();
    }
}

/// What a trace shows of a body has no key that anybody could read.
fn shown(body: &[u8]) {
    let shown = without_keys(&Bytes::copy_from_slice(body));
    assert_eq!(shown.len(), body.len());
    let Ok(description) = Description::parse(&shown) else { return };
    for line in description.media.iter().flat_map(|media| &media.lines) {
        let value = line.value.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("crypto"));
        assert!(value.is_none_or(|(_, value)| Crypto::parse(value).is_none()));
    }
}

fuzz_target!(|body: &[u8]| {
    shown(body);
    let Ok(description) = Description::parse(body) else { return };
    assert!(description.origin().is_some());
    assert!(read_capabilities(body).is_ok());
    let again = Description::parse(description.to_string().as_bytes());
    // Bytes that are no UTF-8 grow when they are replaced, possibly beyond the limit.
    if std::str::from_utf8(body).is_ok() {
        assert_eq!(again.as_ref(), Ok(&description));
    }
    for policy in [Policy::Never, Policy::Offered, Policy::Required] {
        answer(body, description.media.len(), policy);
    }
});
