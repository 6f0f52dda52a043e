//! An ear behind simulated networks, in virtual time. `cargo test -p trunkline-media --release jitter -- --ignored --nocapture` prints the table.

use std::time::Duration;

use super::{Depth, Settings};
use crate::audio::ear::{Ear, Sort, Statistics};
use crate::codec::Codec;
use crate::random::Random;
use crate::rtp::Header;
use crate::time::Time;
use crate::tone::Tone;

/// What the network does to a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    pub(super) name: &'static str,
    /// What each packet takes more than the least, in ms: a uniform part and the mean of an exponential one.
    pub(super) uniform_ms: f64,
    pub(super) exponential_ms: f64,
    /// Packets keep their order, as behind one queue.
    pub(super) ordered: bool,
    pub(super) loss_percent: u64,
    /// How many packets are lost at once.
    pub(super) burst: u32,
    /// One packet in so many takes this much longer.
    pub(super) spike: Option<(u64, f64)>,
    /// The sender's clock is so much faster.
    pub(super) drift_ppm: i64,
    pub(super) ptime_ms: u64,
}

impl Network {
    pub(super) const fn new(name: &'static str) -> Self {
        Network {
            name,
            uniform_ms: 2.0,
            exponential_ms: 0.0,
            ordered: true,
            loss_percent: 0,
            burst: 1,
            spike: None,
            drift_ppm: 0,
            ptime_ms: 20,
        }
    }
}

/// What came out.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) statistics: Statistics,
    /// Mean, least and most of the delay after the fastest packet, in ms.
    pub(super) delay_ms: (f64, f64, f64),
    /// The largest step between two samples.
    pub(super) step: u16,
    pub(super) sent: u64,
    /// Frames from the first of voice on that are none.
    pub(super) gaps: u64,
    /// The least and the most level of a frame of voice after the first second, as the root of its mean square.
    pub(super) level: (f64, f64),
}

impl Outcome {
    pub(super) fn concealed_percent(&self) -> f64 {
        let concealed = self.statistics.buffer.concealed.as_secs_f64();
        let frames = self.statistics.frames.iter().take(2).sum::<u64>() as f64 * 0.02;
        100.0 * concealed / frames
    }
}

fn chance(random: &mut Random) -> f64 {
    random.below(1 << 32) as f64 / f64::from(u32::MAX)
}

/// Packets in order of arrival: when, and which.
fn arrivals(network: &Network, seconds: u64, random: &mut Random) -> Vec<(u64, u64)> {
    let count = seconds * 1000 / network.ptime_ms;
    let (mut arrivals, mut losing, mut before) = (Vec::new(), 0, 0);
    for n in 0..count {
        if losing == 0 && random.below(100 * u64::from(network.burst)) < network.loss_percent {
            losing = network.burst;
        }
        let mut took = network.uniform_ms * chance(random) - network.exponential_ms * (1.0 - chance(random)).max(1e-9).ln();
        if let Some((one_in, ms)) = network.spike
            && random.below(one_in) == 0
        {
            took += ms;
        }
        let sent_us = n * network.ptime_ms * 1000;
        let sent_us = (i128::from(sent_us) * i128::from(1_000_000 - network.drift_ppm) / 1_000_000) as u64;
        let mut at = 1_000_000 + sent_us + (took * 1000.0) as u64;
        if network.ordered {
            at = at.max(before);
            before = at;
        }
        if losing > 0 {
            losing -= 1;
        } else {
            arrivals.push((at, n));
        }
    }
    arrivals.sort_unstable();
    arrivals
}

/// A minute or an hour of a tone through a network into an ear.
pub(super) fn run(network: &Network, depth: Depth, seconds: u64, seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let codec = Codec::new("PCMA", 8000, 1, 8).unwrap();
    let mut ear = Ear::new(
        Settings {
            depth,
            ..Settings::default()
        },
        1,
    );
    ear.configure(&[codec]);
    // A whole number of periods a packet, so that each packet is the same.
    let samples = network.ptime_ms as usize * 8;
    let mut pcm = vec![0; samples];
    Tone::new(200.0, -10.0).fill(&mut pcm);
    let payload: Vec<u8> = pcm.iter().map(|sample| crate::g711::Law::A.encode(*sample)).collect();
    let arrivals = arrivals(network, seconds, &mut random);
    let mut due = arrivals.iter().peekable();
    let mut tick = 1_000_000 + random.below(20_000);
    let (mut out, mut last, mut step) = ([0i16; 960], 0i16, 0u16);
    let (mut delays, mut least, mut most, mut ticks) = (0.0, f64::MAX, 0.0f64, 0u64);
    let (mut heard, mut gaps, mut level) = (false, 0, (f64::MAX, 0.0f64));
    let end = arrivals.last().map_or(0, |(at, _)| *at);
    while tick < end {
        while let Some((at, n)) = due.next_if(|(at, _)| *at <= tick) {
            let header = Header {
                marker: *n == 0,
                payload_type: 8,
                sequence: (65_500 + n) as u16,
                timestamp: 0xffff_0000u32.wrapping_add((n * samples as u64) as u32),
                ssrc: 7,
            };
            ear.push(Time::from_micros(*at), &header, &codec, &payload);
        }
        let frame = ear.frame(Time::from_micros(tick), &mut out);
        heard |= frame.kind == Sort::Voice;
        gaps += u64::from(heard && matches!(frame.kind, Sort::Noise | Sort::Nothing));
        for sample in &out[..frame.samples] {
            step = step.max(last.abs_diff(*sample));
            last = *sample;
        }
        let buffer = ear.statistics().buffer;
        if heard && tick > 3_000_000 {
            let ms = buffer.depth.as_secs_f64() * 1000.0;
            (least, most, delays, ticks) = (least.min(ms), most.max(ms), delays + ms, ticks + 1);
            let power: f64 = out[..160].iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 160.0;
            level = (level.0.min(power.sqrt()), level.1.max(power.sqrt()));
        }
        assert!(buffer.held <= 64);
        tick += 20_000;
    }
    Outcome {
        statistics: ear.statistics(),
        delay_ms: (delays / ticks as f64, least, most),
        step,
        sent: seconds * 1000 / network.ptime_ms,
        gaps,
        level,
    }
}

/// The networks of the table.
pub(super) fn networks() -> Vec<Network> {
    let new = Network::new;
    let mut networks = vec![new("local, 2 ms")];
    networks.push(Network {
        uniform_ms: 20.0,
        ..new("uniform 20 ms")
    });
    networks.push(Network {
        exponential_ms: 10.0,
        ..new("exponential 10 ms")
    });
    networks.push(Network {
        exponential_ms: 30.0,
        ..new("exponential 30 ms")
    });
    networks.push(Network {
        uniform_ms: 60.0,
        ordered: false,
        ..new("uniform 60 ms, reordered")
    });
    networks.push(Network {
        spike: Some((250, 150.0)),
        ..new("150 ms, once in 5 s")
    });
    for (name, loss_percent) in [("1 % lost", 1), ("5 % lost", 5), ("10 % lost", 10)] {
        networks.push(Network {
            loss_percent,
            uniform_ms: 10.0,
            ..new(name)
        });
    }
    networks.push(Network {
        loss_percent: 5,
        burst: 4,
        ..new("5 % lost, 4 at once")
    });
    networks.push(Network {
        loss_percent: 10,
        exponential_ms: 10.0,
        ordered: false,
        ..new("10 %, exp. 10 ms, reordered")
    });
    for (name, ptime_ms) in [("10 ms packets, 5 %", 10), ("60 ms packets, 5 %", 60)] {
        networks.push(Network {
            ptime_ms,
            loss_percent: 5,
            uniform_ms: 10.0,
            ..new(name)
        });
    }
    for (name, drift_ppm) in [("+200 ppm", 200), ("-200 ppm", -200)] {
        networks.push(Network { drift_ppm, ..new(name) });
    }
    networks
}

#[test]
#[ignore = "prints the table"]
fn test_table_of_networks() {
    println!(
        "{:30} {:>7} {:>7} {:>21} {:>5} {:>5} {:>9}",
        "network", "lost", "conc.", "delay mean/min/max ms", "late", "gaps", "stretches"
    );
    for network in networks() {
        let seconds = if network.drift_ppm == 0 { 600 } else { 3600 };
        let outcome = run(&network, Depth::default(), seconds, 5);
        let buffer = outcome.statistics.buffer;
        println!(
            "{:30} {:>6.2}% {:>6.2}% {:>7.1} {:>6.1} {:>6.1} {:>5} {:>5} {:>4}+{:<4} step {} level {:.0}..{:.0} target {:?} held {}",
            network.name,
            100.0 * buffer.lost as f64 / outcome.sent as f64,
            outcome.concealed_percent(),
            outcome.delay_ms.0,
            outcome.delay_ms.1,
            outcome.delay_ms.2,
            buffer.late,
            outcome.gaps,
            buffer.inserts,
            buffer.removals,
            outcome.step,
            outcome.level.0,
            outcome.level.1,
            buffer.target,
            buffer.held,
        );
    }
}

#[test]
fn test_an_hour_of_drift_neither_drains_nor_fills_it() {
    for drift_ppm in [200, -200] {
        let network = Network {
            drift_ppm,
            ..Network::new("drift")
        };
        let outcome = run(&network, Depth::default(), 3600, 1);
        assert_eq!(
            (outcome.statistics.buffer.lost, outcome.statistics.buffer.skipped, outcome.gaps),
            (0, 0, 0)
        );
        assert!(outcome.concealed_percent() < 0.05, "{outcome:?}");
        assert!(outcome.delay_ms.2 < 80.0, "{outcome:?}");
        // 720 ms had to be made up for, by at most 15 ms at a time and at least 2.5.
        let buffer = outcome.statistics.buffer;
        let stretches = if drift_ppm > 0 { buffer.removals } else { buffer.inserts };
        assert!((48..600).contains(&stretches), "{outcome:?}");
        assert!(outcome.step < 1700, "{outcome:?}");
    }
}

#[test]
fn test_loss_conceals_what_is_lost_and_no_more() {
    for loss_percent in [1, 5, 10] {
        let network = Network {
            loss_percent,
            ..Network::new("loss")
        };
        let outcome = run(&network, Depth::default(), 120, 3);
        let buffer = outcome.statistics.buffer;
        let lost = 100.0 * buffer.lost as f64 / outcome.sent as f64;
        assert!((outcome.concealed_percent() - lost).abs() < 0.3, "{outcome:?}");
        assert_eq!((buffer.late, buffer.skipped, outcome.gaps), (0, 0, 0));
        assert!(outcome.delay_ms.0 < 60.0, "{outcome:?}");
    }
}

#[test]
fn test_depth_follows_the_jitter() {
    let quiet = run(&Network::new("quiet"), Depth::default(), 60, 2);
    let rough = Network {
        exponential_ms: 30.0,
        ..Network::new("rough")
    };
    let rough = run(&rough, Depth::default(), 60, 2);
    assert!(quiet.delay_ms.0 < 50.0 && rough.delay_ms.0 > 80.0, "{quiet:?} {rough:?}");
    assert!(
        quiet.concealed_percent() < 0.01 && rough.concealed_percent() < 3.0,
        "{quiet:?} {rough:?}"
    );
}

#[test]
fn test_a_fixed_depth_is_kept() {
    let network = Network {
        uniform_ms: 30.0,
        ..Network::new("fixed")
    };
    let outcome = run(&network, Depth::Fixed(Duration::from_millis(100)), 60, 2);
    assert!(outcome.delay_ms.1 > 95.0 && outcome.delay_ms.2 < 130.0, "{outcome:?}");
    assert_eq!(outcome.statistics.buffer.concealed, Duration::ZERO);
}
