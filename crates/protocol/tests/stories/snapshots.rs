//! A snapshot stands for all records before it. Every story of this program checks that after each
//! record, by [`check`].

use perun_channel::codec::DecodeError;
use perun_protocol::{Config, Machine};

use crate::pair::Pair;

/// Longer queues are snapshotted by the stories that mean them.
const QUEUE_CHECKED: usize = 64;

/// The machine comes out of its snapshot as it went in.
pub(crate) fn check(machine: &Machine, config: Config) {
    if machine.queued() <= QUEUE_CHECKED {
        let bytes = machine.snapshot();
        let again = Machine::from_snapshot(machine.opening(), config, &bytes);
        assert_eq!(again.as_ref(), Ok(machine));
        assert_eq!(again.unwrap().snapshot(), bytes, "one spelling");
    }
}

#[test]
fn a_snapshot_that_is_cut_or_longer_or_of_another_format_is_refused() {
    let mut pair = Pair::open(50, 50);
    pair.pay(0, 3).pay(0, 4);
    let (opening, config) = (pair.opening, Config::default());
    let bytes = pair.nodes[0].machine.snapshot();
    let read = |bytes: &[u8]| Machine::from_snapshot(opening, config, bytes);
    for cut in 0..bytes.len() {
        assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert_eq!(read(&[bytes.as_slice(), &[0]].concat()), Err(DecodeError::Trailing));
    assert_eq!(read(&[&[1], &bytes[1..]].concat()), Err(DecodeError::UnknownTag));
}

#[test]
fn a_snapshot_does_not_grow_with_the_number_of_payments() {
    let mut pair = Pair::open(1_000_000, 50);
    let size = |pair: &Pair| [0, 1].map(|place| pair.nodes[place].machine.snapshot().len());
    pair.pay(0, 1).settle();
    let before = size(&pair);
    for _ in 0..100 {
        pair.pay(0, 1).settle();
    }
    assert_eq!(size(&pair), before);
    assert!(before.iter().all(|bytes| *bytes < 2_048), "{before:?}");
}

#[test]
fn a_full_queue_is_in_the_snapshot() {
    let mut pair = Pair::open(1_000_000, 50);
    pair.net.drop_all();
    let most = perun_protocol::limits::MAX_QUEUE;
    let mut machine = pair.nodes[1].machine.clone();
    let payment = |number: usize| perun_protocol::Payment {
        id: perun_protocol::PaymentId::new(u64::try_from(number).unwrap()),
        asset: 0,
        amount: perun_channel::Amount::new(1),
        memo: perun_protocol::Memo::default(),
    };
    for number in 1..=most {
        let deadline = perun_protocol::Time::new(9);
        machine.apply(&perun_protocol::Record::Queued { payment: payment(number), deadline });
    }
    let again = Machine::from_snapshot(pair.opening, Config::default(), &machine.snapshot());
    assert_eq!(again, Ok(machine));
}
