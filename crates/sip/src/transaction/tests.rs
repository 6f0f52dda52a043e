//! The tables by themselves: complete, unambiguous, and no timer is left running where nobody would hear it.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use super::timing::TIMERS;
use super::*;

const KINDS: [Kind; 4] = [Kind::InviteClient, Kind::Client, Kind::InviteServer, Kind::Server];

/// Timers that the endpoint takes itself, without a row.
const OUTSIDE: [Timer; 4] = [Timer::Bye, Timer::Reliable, Timer::ReliableLimit, Timer::Stream];

fn has_row(kind: Kind, state: State, input: Input) -> bool {
    kind.table().iter().any(|row| row.state == state && row.input == input)
}

/// Every state a machine can come to, each with every set of timers that can run in it.
fn reachable(kind: Kind) -> HashSet<(State, BTreeSet<Timer>)> {
    let mut seen = HashSet::new();
    let mut open = VecDeque::from([(State::Initial, BTreeSet::new())]);
    while let Some(place) = open.pop_front() {
        if !seen.insert(place.clone()) {
            continue;
        }
        let (state, running) = place;
        for row in kind.table().iter().filter(|row| row.state == state) {
            let mut after: BTreeSet<Timer> = running.clone();
            if matches!(row.input, Input::Fired(timer) if !after.remove(&timer)) {
                continue;
            }
            for action in row.actions {
                match action {
                    Action::Start(timer) => {
                        after.insert(*timer);
                    }
                    Action::Stop(timer) => {
                        after.remove(timer);
                    }
                    _ => {}
                }
            }
            open.push_back((row.next, after));
        }
    }
    seen
}

#[test]
fn test_every_row_can_be_reached() {
    for kind in KINDS {
        let places = reachable(kind);
        for row in kind.table() {
            let heard = |running: &BTreeSet<Timer>| match row.input {
                Input::Fired(timer) => running.contains(&timer),
                _ => true,
            };
            assert!(
                places.iter().any(|(state, running)| *state == row.state && heard(running)),
                "{kind:?} {row:?}"
            );
        }
    }
}

#[test]
fn test_no_two_rows_answer_the_same_input() {
    for kind in KINDS {
        let mut seen = HashSet::new();
        for row in kind.table() {
            assert!(seen.insert((row.state, row.input)), "{kind:?} {row:?}");
        }
    }
}

#[test]
fn test_every_running_timer_is_heard() {
    for kind in KINDS {
        for (state, running) in reachable(kind) {
            // The endpoint stops all timers of a transaction that is over.
            let heard = |timer: &Timer| state == State::Terminated || OUTSIDE.contains(timer) || has_row(kind, state, Input::Fired(*timer));
            assert!(running.iter().all(heard), "{kind:?} {state:?} {running:?}");
        }
    }
}

#[test]
fn test_every_state_ends_by_its_timers_alone_unless_python_owes_the_answer() {
    for kind in KINDS {
        for (state, running) in reachable(kind) {
            let waits_for_peer = kind == Kind::InviteClient && state == State::Proceeding;
            let waits_for_python = kind == Kind::InviteServer && state == State::Proceeding;
            if matches!(state, State::Initial | State::Terminated) || waits_for_peer || waits_for_python {
                continue;
            }
            let ends = running.iter().any(|timer| {
                kind.table().iter().any(|row| {
                    row.state == state && row.input == Input::Fired(*timer) && matches!(row.next, State::Terminated | State::Lost)
                })
            });
            assert!(ends, "{kind:?} {state:?} {running:?}");
        }
    }
}

#[test]
fn test_nothing_happens_after_the_end() {
    for kind in KINDS {
        assert!(kind.table().iter().all(|row| row.state != State::Terminated), "{kind:?}");
    }
}

#[test]
fn test_an_input_without_row_is_absorbed() {
    let mut machine = Machine::new(Kind::Client);
    assert_eq!(machine.input(Input::Ack), &[]);
    assert_eq!(machine.state(), State::Initial);
}

#[test]
fn test_equal_inputs_give_equal_actions() {
    let inputs = [
        Input::Start,
        Input::Fired(Timer::A),
        Input::Cancel,
        Input::Provisional,
        Input::Cancel,
        Input::Failure,
        Input::Failure,
    ];
    let run = || {
        let mut machine = Machine::new(Kind::InviteClient);
        inputs.map(|input| (machine.input(input).to_vec(), machine.state()))
    };
    assert_eq!(run(), run());
}

#[test]
fn test_a_success_to_invite_is_accepted_and_further_ones_go_up() {
    let mut machine = Machine::new(Kind::InviteClient);
    machine.input(Input::Start);
    machine.input(Input::Success);
    assert_eq!(machine.state(), State::Accepted);
    assert_eq!(machine.input(Input::Success), &[Action::Deliver]);
    assert_eq!(machine.input(Input::Failure), &[]);
}

fn durations(timer: Timer, state: State, reliable: bool) -> Vec<Option<u128>> {
    let timing = Timing::new(Duration::from_millis(500));
    (0..6)
        .map(|repeats| timing.duration(timer, state, repeats, reliable).map(|time| time.as_millis()))
        .collect()
}

#[test]
fn test_timer_a_doubles_without_end_and_e_and_g_stop_at_t2() {
    assert_eq!(
        durations(Timer::A, State::Calling, false),
        [500, 1000, 2000, 4000, 8000, 16_000].map(Some)
    );
    assert_eq!(
        durations(Timer::E, State::Trying, false),
        [500, 1000, 2000, 4000, 4000, 4000].map(Some)
    );
    assert_eq!(
        durations(Timer::G, State::Completed, false),
        [500, 1000, 2000, 4000, 4000, 4000].map(Some)
    );
    assert_eq!(durations(Timer::E, State::Proceeding, false), [4000; 6].map(Some));
}

#[test]
fn test_over_reliable_transports_only_a_success_is_repeated() {
    for timer in [Timer::A, Timer::E, Timer::G] {
        assert_eq!(durations(timer, State::Trying, true), [None; 6], "{timer:?}");
    }
    assert_eq!(
        durations(Timer::Success, State::Accepted, true),
        [500, 1000, 2000, 4000, 4000, 4000].map(Some)
    );
    for timer in [Timer::D, Timer::I, Timer::J, Timer::K] {
        assert_eq!(durations(timer, State::Completed, true), [Some(0); 6], "{timer:?}");
    }
}

#[test]
fn test_the_limits_are_64_t1_and_d_is_never_below_32_seconds() {
    let timing = Timing::new(Duration::from_millis(100));
    for timer in [
        Timer::B,
        Timer::F,
        Timer::H,
        Timer::J,
        Timer::L,
        Timer::M,
        Timer::CancelLimit,
        Timer::Abandon,
    ] {
        assert_eq!(
            timing.duration(timer, State::Trying, 0, false),
            Some(Duration::from_millis(6400)),
            "{timer:?}"
        );
    }
    assert_eq!(timing.duration(Timer::D, State::Completed, 0, false), Some(Duration::from_secs(32)));
}

#[test]
fn test_a_set_holds_what_was_put_in() {
    let mut set = TimerSet::default();
    for timer in TIMERS {
        set.insert(timer);
    }
    assert!(set.remove(Timer::G));
    assert!(!set.remove(Timer::G));
    assert_eq!(
        set.iter().collect::<Vec<_>>(),
        TIMERS.into_iter().filter(|timer| *timer != Timer::G).collect::<Vec<_>>()
    );
}
