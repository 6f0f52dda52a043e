//! What holds whatever arrives.

use proptest::prelude::*;

use super::*;

/// A packet, or a tick, of a stream that does anything.
#[derive(Clone, Debug)]
enum Act {
    Packet {
        steps: i32,
        timestamp: i32,
        ssrc: u32,
        marker: bool,
        clock_rate: u32,
        event: bool,
    },
    Tick {
        played: u32,
        held: u32,
    },
    Pass {
        ms: u64,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let small = prop_oneof![8 => -5i32..6, 1 => -200i32..4000, 1 => any::<i32>()];
    let clock = prop_oneof![8 => Just(8000u32), 1 => Just(48_000), 1 => 1u32..u32::MAX];
    let packet = (
        small.clone(),
        small,
        prop_oneof![9 => Just(1u32), 1 => 0u32..4],
        any::<bool>(),
        clock,
        prop::bool::weighted(0.05),
    )
        .prop_map(|(steps, timestamp, ssrc, marker, clock_rate, event)| Act::Packet {
            steps,
            timestamp,
            ssrc,
            marker,
            clock_rate,
            event,
        });
    let tick = (prop_oneof![9 => Just(1920u32), 1 => 0u32..20_000], 0u32..1920).prop_map(|(played, held)| Act::Tick { played, held });
    let pass = prop_oneof![9 => 0u64..40, 1 => 0u64..5000].prop_map(|ms| Act::Pass { ms });
    prop::collection::vec(prop_oneof![4 => packet, 3 => tick, 3 => pass], 1..300)
}

proptest! {
    #[test]
    fn test_whatever_arrives_positions_rise_and_bounds_hold(acts in acts(), packets in 1u16..70) {
        let mut buffer = Buffer::new(Settings { packets, ..Settings::default() });
        let (mut sequence, mut timestamp, mut now, mut position) = (0u16, 0u32, 0u64, i64::MIN);
        for act in acts {
            match act {
                Act::Packet { steps, timestamp: more, ssrc, marker, clock_rate, event } => {
                    sequence = sequence.wrapping_add(1);
                    timestamp = timestamp.wrapping_add(160);
                    let header = Header {
                        marker,
                        payload_type: 0,
                        sequence: sequence.wrapping_add(steps as u16),
                        timestamp: timestamp.wrapping_add((steps.wrapping_mul(160)).wrapping_add(if more.abs() < 6 { 0 } else { more }) as u32),
                        ssrc,
                    };
                    if event {
                        buffer.push_event(at(now), &header);
                    } else {
                        buffer.push(at(now), &header, clock_rate, &[1, 2, 3]);
                    }
                }
                Act::Tick { played, held } => {
                    match buffer.pop(at(now), held, 1920 - held) {
                        Playout::Packet(packet) => {
                            prop_assert!(packet.position > position);
                            position = packet.position;
                            prop_assert_eq!(packet.payload, [1, 2, 3]);
                            buffer.played(played);
                        }
                        Playout::Lost { span, .. } | Playout::Silence { span } => prop_assert!(span > 0),
                        Playout::Nothing => {}
                    }
                    buffer.advice(at(now));
                }
                Act::Pass { ms } => now += ms,
            }
            prop_assert!(buffer.statistics().held <= packets);
            if let (Some(first), Some(last)) = (buffer.slots.first_audio(), buffer.slots.last_audio()) {
                prop_assert!(last.position - first.position <= units(buffer.settings.held));
            }
        }
    }

    #[test]
    fn test_any_order_within_the_depth_is_put_right(order in Just((0u16..24).collect::<Vec<_>>()).prop_shuffle(), start in any::<u16>(), from in any::<u32>()) {
        let mut buffer = Buffer::new(Settings { depth: Depth::Fixed(Duration::from_millis(480)), ..Settings::default() });
        for number in &order {
            let header = Header {
                marker: false,
                payload_type: 0,
                sequence: start.wrapping_add(*number),
                timestamp: from.wrapping_add(u32::from(*number) * 160),
                ssrc: 1,
            };
            prop_assert_eq!(buffer.push(at(1000), &header, 8000, &number.to_be_bytes()), Pushed::Held);
        }
        let mut played = Vec::new();
        for tick in 0..60 {
            if let Playout::Packet(packet) = buffer.pop(at(1000 + 20 * tick), 0, 1920) {
                played.push(u16::from_be_bytes([packet.payload[0], packet.payload[1]]));
                buffer.played(1920);
            }
        }
        prop_assert_eq!(played, (0..24).collect::<Vec<_>>());
    }
}
