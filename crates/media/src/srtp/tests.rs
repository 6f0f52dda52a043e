//! The test vectors of the RFCs, and what holds for every suite: identity, refusal of whatever was changed or came before, roll-over.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::cipher::{Cipher, Place, Protocol, TAG_KEY};
use super::key::Purpose;
use super::suite::MAX_SALT;
use super::{MasterKey, Receiver, Sender, Suite};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn session(suite: Suite, protocol: Protocol, key: &str, salt: &str) -> Cipher {
    let mut padded = Zeroizing::new([0; MAX_SALT]);
    let salt = hex(salt);
    padded[..salt.len()].copy_from_slice(&salt);
    Cipher::of(suite, protocol, &hex(key), &[0; TAG_KEY], padded).unwrap()
}

fn derived(master: &MasterKey, purpose: Purpose, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    master.derive(purpose, &mut out);
    out
}

/// Encipher zeroes with SSRC 0 and index 0: what is left is the keystream.
fn keystream(suite: Suite, key: &str) -> Vec<u8> {
    let cipher = session(suite, Protocol::Rtp, key, "f0f1f2f3f4f5f6f7f8f9fafbfcfd");
    let length = 12 + 0xff02 * 16;
    let mut packet = vec![0; length + 10];
    let place = Place {
        clear: 12,
        ssrc: 0,
        index: 0,
    };
    cipher.seal_rtp(&mut packet, length, place).unwrap();
    packet[12..length].to_vec()
}

#[test]
fn test_aes_128_counter_mode_gives_the_keystream_of_rfc_3711_b_2() {
    let stream = keystream(Suite::Aes128Sha1_80, "2b7e151628aed2a6abf7158809cf4f3c");
    let first = "e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab 41e95b3bb0a2e8dd477901e4fca894c0";
    assert_eq!(stream[..48], hex(first));
    let last = "ec8cdf7398607cb0f2d21675ea9ea1e4 362b7c3c6773516318a077d7fc5073ae 6a2cc3787889374fbeb4c81b17ba6c44";
    assert_eq!(stream[0xfeff * 16..0xff02 * 16], hex(last));
}

#[test]
fn test_aes_256_counter_mode_gives_the_keystream_of_rfc_6188_7_1() {
    let stream = keystream(
        Suite::Aes256Sha1_80,
        "57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98",
    );
    let first = "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31";
    assert_eq!(stream[..48], hex(first));
    let last = "cea518c90fd91ced9cbb18c078a54711 3dbc4814f4da5f00a08772b63c6a046d 6eb246913062a16891433e97dd01a57f";
    assert_eq!(stream[0xfeff * 16..0xff02 * 16], hex(last));
}

#[test]
fn test_session_keys_are_derived_as_in_rfc_3711_b_3() {
    let master = hex("e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6");
    let master = MasterKey::new(Suite::Aes128Sha1_80, &master).unwrap();
    assert_eq!(derived(&master, Purpose::RtpCipher, 16), hex("c61e7a93744f39ee10734afe3ff7a087"));
    assert_eq!(derived(&master, Purpose::RtpSalt, 14), hex("30cbbc08863d8c85d49db34a9ae1"));
    let tag = "cebe321f6ff7716b6fd4ab49af256a15 6d38baa48f0a0acf3c34e2359e6cdbce e049646c43d9327ad175578ef7227098
        6371c10c9a369ac2f94a8c5fbcdddc25 6d6e919a48b610ef17c2041e47403576 6b68642c59bbfc2f34db60dbdfb2";
    assert_eq!(derived(&master, Purpose::RtpTag, 94), hex(tag));
}

#[test]
fn test_session_keys_of_aes_256_are_derived_as_in_rfc_6188_7_2() {
    let master = hex("f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2");
    let master = MasterKey::new(Suite::Aes256Sha1_32, &master).unwrap();
    let key = "5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4";
    assert_eq!(derived(&master, Purpose::RtpCipher, 32), hex(key));
    assert_eq!(derived(&master, Purpose::RtpSalt, 14), hex("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(
        derived(&master, Purpose::RtpTag, 20),
        hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
    );
}

/// RFC 7714 §16: the packet that is protected in every example.
const GALLIA: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573";
const SHORT_KEY: &str = "000102030405060708090a0b0c0d0e0f";
const LONG_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SALT: &str = "517569642070726f2071756f";

#[test]
fn test_aead_packets_are_those_of_rfc_7714_16() {
    let short = "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833 899d7f27beb16a9152cf765ee4390cce";
    let long = "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b 7aa3db36dfffd6b0f9bb7878d7a76c13";
    for (suite, key, secret) in [(Suite::Aes128Gcm, SHORT_KEY, short), (Suite::Aes256Gcm, LONG_KEY, long)] {
        let cipher = session(suite, Protocol::Rtp, key, SALT);
        let plain = hex(GALLIA);
        let mut packet = plain.clone();
        packet.resize(plain.len() + 16, 0);
        let place = Place {
            clear: 12,
            ssrc: 0x5501_a0b2,
            index: 0xf17b,
        };
        assert_eq!(cipher.seal_rtp(&mut packet, plain.len(), place), Some(packet.len()));
        assert_eq!(packet[12..], hex(secret));
        assert_eq!(cipher.open_rtp(&mut packet, place), Some(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }
}

#[test]
fn test_aead_compounds_are_those_of_rfc_7714_17() {
    let plain = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef";
    let short = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b
        c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
    let long = "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad
        1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4";
    for (suite, key, secret) in [(Suite::Aes128Gcm, SHORT_KEY, short), (Suite::Aes256Gcm, LONG_KEY, long)] {
        let cipher = session(suite, Protocol::Rtcp, key, SALT);
        let plain = hex(plain);
        let mut packet = plain.clone();
        packet.resize(plain.len() + 20, 0);
        let place = Place {
            clear: 8,
            ssrc: 0x4d61_7273,
            index: 0x5d4,
        };
        assert_eq!(cipher.seal_rtcp(&mut packet, plain.len(), place), Some(packet.len()));
        assert_eq!(packet, hex(secret));
        assert_eq!(cipher.rtcp_index(&packet), Some((true, 0x5d4, plain.len())));
        assert_eq!(cipher.open_rtcp(&mut packet, place, true, plain.len()), Some(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }
}

fn master(suite: Suite, fill: u8) -> MasterKey {
    MasterKey::new(suite, &vec![fill; suite.key_length() + suite.salt_length()]).unwrap()
}

fn pair(suite: Suite) -> (Sender, Receiver) {
    let master = master(suite, 0x5a);
    (Sender::new(&master).unwrap(), Receiver::new(&master).unwrap())
}

fn rtp(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn sealed(sender: &mut Sender, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 2048];
    buffer[..packet.len()].copy_from_slice(packet);
    let length = sender.protect_rtp(&mut buffer, packet.len()).unwrap();
    buffer[..length].to_vec()
}

fn opened(receiver: &mut Receiver, packet: &[u8]) -> Option<Vec<u8>> {
    let mut packet = packet.to_vec();
    let length = receiver.unprotect_rtp(&mut packet)?;
    packet.truncate(length);
    Some(packet)
}

#[test]
fn test_the_names_and_lengths_are_those_of_the_registry() {
    let lengths = |suite: Suite| (suite.key_length(), suite.salt_length(), suite.tag_length(), suite.rtcp_tag_length());
    for (name, expected) in [
        ("AES_CM_128_HMAC_SHA1_80", (16, 14, 10, 10)),
        ("AES_CM_128_HMAC_SHA1_32", (16, 14, 4, 10)),
        ("AES_256_CM_HMAC_SHA1_80", (32, 14, 10, 10)),
        ("AES_256_CM_HMAC_SHA1_32", (32, 14, 4, 10)),
        ("AEAD_AES_128_GCM", (16, 12, 16, 16)),
        ("AEAD_AES_256_GCM", (32, 12, 16, 16)),
    ] {
        let suite = Suite::from_name(name).unwrap();
        assert_eq!((suite.name(), lengths(suite)), (name, expected));
        assert!(MasterKey::new(suite, &[0; 45]).is_none());
    }
    assert_eq!(Suite::from_name("F8_128_HMAC_SHA1_80"), None);
}

#[test]
fn test_a_key_is_shown_by_nothing() {
    let (sender, receiver) = pair(Suite::Aes256Sha1_80);
    let shown = format!("{sender:?} {receiver:?}");
    assert!(shown.contains("AES_256_CM_HMAC_SHA1_80"), "{shown}");
    assert!(!shown.contains("90") && !shown.contains("5a"), "{shown}");
}

#[test]
fn test_a_second_payload_under_one_number_is_not_sent() {
    for suite in Suite::ALL {
        let (mut sender, _) = pair(suite);
        sealed(&mut sender, &rtp(7, b"one"));
        let mut buffer = [0; 64];
        let packet = rtp(7, b"two");
        buffer[..packet.len()].copy_from_slice(&packet);
        assert_eq!(sender.protect_rtp(&mut buffer, packet.len()), None);
    }
}

#[test]
fn test_a_packet_without_room_for_its_tag_is_not_sent() {
    for suite in Suite::ALL {
        let (mut sender, _) = pair(suite);
        let mut buffer = rtp(7, b"speech");
        let length = buffer.len();
        buffer.resize(length + suite.tag_length() - 1, 0);
        assert_eq!(sender.protect_rtp(&mut buffer, length), None);
        buffer.push(0);
        assert_eq!(sender.protect_rtp(&mut buffer, length), Some(buffer.len()));
    }
}

#[test]
fn test_csrcs_and_extension_stay_in_the_clear() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let mut packet = rtp(7, &hex("00000001 bede0001 aabbccdd 11223344 5566"));
        packet[0] = 0x91;
        let out = sealed(&mut sender, &packet);
        assert_eq!(out[..24], packet[..24]);
        assert_ne!(out[24..30], packet[24..]);
        assert_eq!(opened(&mut receiver, &out).unwrap(), packet);
    }
}

#[test]
fn test_loss_and_reordering_around_the_roll_over_are_survived() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let packets: Vec<_> = (0xfff0_u32..0x1_0020)
            .map(|index| rtp((index & 0xffff) as u16, b"speech"))
            .map(|plain| (sealed(&mut sender, &plain), plain))
            .collect();
        // The last before and the first after the roll-over are lost, one from before comes late.
        let order = (0..14).chain(18..30).chain([14]).chain(31..48);
        for number in order {
            let (packet, plain) = &packets[number];
            assert_eq!(opened(&mut receiver, packet).as_ref(), Some(plain), "packet {number}");
        }
        for (packet, _) in &packets[..14] {
            assert_eq!(opened(&mut receiver, packet), None);
        }
    }
}

#[test]
fn test_every_ssrc_has_its_own_numbers() {
    let (mut sender, mut receiver) = pair(Suite::Aes128Sha1_80);
    let mut other = rtp(7, b"other");
    other[11] = 10;
    let (first, second) = (sealed(&mut sender, &rtp(7, b"speech")), sealed(&mut sender, &other));
    assert!(opened(&mut receiver, &first).is_some());
    assert_eq!(opened(&mut receiver, &second).unwrap(), other);
    assert!(opened(&mut receiver, &second).is_none());
}

fn compound() -> Vec<u8> {
    hex("80c90001 00000009 81ca0003 00000009 01046162 63640000")
}

#[test]
fn test_compounds_pass_once_in_any_order_and_unchanged_alone() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let plain = compound();
        let mut packets: Vec<Vec<u8>> = Vec::new();
        for number in 0..4_u8 {
            let mut buffer = plain.clone();
            buffer.resize(100, 0);
            let length = sender.protect_rtcp(&mut buffer, plain.len()).unwrap();
            assert_eq!(length, plain.len() + 4 + suite.rtcp_tag_length());
            buffer.truncate(length);
            let at = if suite.rtcp_tag_length() == 16 { length - 4 } else { plain.len() };
            assert_eq!(buffer[at..at + 4], [0x80, 0, 0, number]);
            assert_eq!(buffer[..8], plain[..8]);
            packets.push(buffer);
        }
        for number in [1, 0, 3, 2] {
            let packet = &packets[number];
            for bit in 0..packet.len() * 8 {
                let mut changed = packet.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(receiver.unprotect_rtcp(&mut changed), None, "{suite:?} bit {bit}");
            }
            let mut packet = packet.clone();
            assert_eq!(receiver.unprotect_rtcp(&mut packet), Some(plain.len()));
            assert_eq!(packet[..plain.len()], plain);
            assert_eq!(receiver.unprotect_rtcp(&mut packets[number].clone()), None);
        }
    }
}

fn suites() -> impl Strategy<Value = Suite> {
    prop::sample::select(Suite::ALL.to_vec())
}

proptest! {
    #[test]
    fn test_what_was_protected_comes_out_as_it_was(suite in suites(), sequence: u16, payload in prop::collection::vec(any::<u8>(), 0..600)) {
        let (mut sender, mut receiver) = pair(suite);
        let plain = rtp(sequence, &payload);
        let packet = sealed(&mut sender, &plain);
        prop_assert_eq!(packet.len(), plain.len() + suite.tag_length());
        prop_assert_eq!(opened(&mut receiver, &packet), Some(plain));
        prop_assert_eq!(opened(&mut receiver, &packet), None);
    }

    #[test]
    fn test_any_changed_bit_is_refused_and_changes_nothing(suite in suites(), payload in prop::collection::vec(any::<u8>(), 0..40), at: prop::sample::Index) {
        let (mut sender, mut receiver) = pair(suite);
        let plain = rtp(300, &payload);
        let packet = sealed(&mut sender, &plain);
        let bit = at.index(packet.len() * 8);
        let mut changed = packet.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let before = changed.clone();
        prop_assert_eq!(receiver.unprotect_rtp(&mut changed), None);
        prop_assert_eq!(changed, before);
        prop_assert_eq!(opened(&mut receiver, &packet), Some(plain));
    }

    #[test]
    fn test_another_key_opens_nothing(suite in suites(), payload in prop::collection::vec(any::<u8>(), 0..40)) {
        let (mut sender, _) = pair(suite);
        let mut stranger = Receiver::new(&master(suite, 0x5b)).unwrap();
        prop_assert_eq!(opened(&mut stranger, &sealed(&mut sender, &rtp(7, &payload))), None);
    }

    #[test]
    fn test_reordering_within_the_window_loses_nothing(
        suite in suites(),
        first: u16,
        order in Just((0..60_u16).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (mut sender, mut receiver) = pair(suite);
        // The numbers begin in the lower half (RFC 3711 §3.3.1) and pass the roll-over by being sent.
        let first = u32::from(first & 0x7fff);
        let packets: Vec<_> = (first..first + 60).map(|number| rtp((number & 0xffff) as u16, b"x")).collect();
        let sent: Vec<_> = packets.iter().map(|plain| sealed(&mut sender, plain)).collect();
        opened(&mut receiver, &sent[0]);
        for number in order {
            let expected = (number != 0).then(|| packets[usize::from(number)].clone());
            prop_assert_eq!(opened(&mut receiver, &sent[usize::from(number)]), expected);
        }
    }

    #[test]
    fn test_no_bytes_harm(data in prop::collection::vec(any::<u8>(), 0..80), suite in suites()) {
        let (mut sender, mut receiver) = pair(suite);
        let (mut packet, length) = (data.clone(), data.len());
        prop_assert_eq!(receiver.unprotect_rtp(&mut packet), None);
        prop_assert_eq!(receiver.unprotect_rtcp(&mut packet), None);
        packet.resize(length + 24, 0);
        let _ = sender.protect_rtp(&mut packet, length);
        let _ = sender.protect_rtcp(&mut packet, length);
    }
}
