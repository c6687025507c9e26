//! Messages and records have one spelling, and limits hold while they are read.

use perun_channel::codec::{Decode, DecodeError, Encode};
use perun_protocol::limits::{MAX_BATCH, MAX_LEDGER_BYTES, MAX_MEMO};
use perun_protocol::{Body, Command, DeclineReason, LedgerBytes, Memo, Message, Record, TooLong};

use crate::ledger::JOINT;
use crate::pair::Pair;

#[test]
fn every_message_and_record_of_a_life_is_read_back_as_it_was_written() {
    let mut pair = Pair::open(50, 50);
    pair.pay(0, 3).pay(1, 2).settle();
    pair.user(0, Command::Close).settle();
    are_read_back(&pair);
}

#[test]
fn every_message_and_record_of_a_swap_is_read_back_as_it_was_written() {
    let mut pair = Pair::swapping();
    pair.swap(0, JOINT).settle();
    are_read_back(&pair);
    for (messages, place) in [(1, 0), (1, 1)] {
        let mut pair = Pair::cut_at(0, JOINT, messages);
        pair.net.left = None;
        pair.user(place, Command::CancelSwap).settle();
        are_read_back(&pair);
    }
    let mut pair = Pair::cut_at(1, JOINT, 2);
    pair.leave();
    are_read_back(&pair);
}

fn are_read_back(pair: &Pair) {
    for (_, bytes) in &pair.net.log {
        assert_eq!(Message::from_bytes(bytes).unwrap().to_bytes(), *bytes);
        for cut in 0..bytes.len() {
            assert!(Message::from_bytes(&bytes[..cut]).is_err());
        }
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        assert_eq!(Message::from_bytes(&longer), Err(DecodeError::Trailing));
    }
    for bytes in pair.nodes.iter().flat_map(|node| &node.journal) {
        assert_eq!(Record::from_bytes(bytes).unwrap().to_bytes(), *bytes);
        assert!(Record::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn another_format_is_not_guessed_at() {
    let body = Body::Decline { reason: DeclineReason::User {} };
    let opening = perun_protocol::OpeningId::new([1; 32]);
    let mut bytes = Message { opening, body }.to_bytes();
    bytes[0] = 1;
    assert_eq!(Message::from_bytes(&bytes), Err(DecodeError::UnknownTag));
    assert_eq!(Record::from_bytes(&[1, 9]), Err(DecodeError::UnknownTag));
}

#[test]
fn a_batch_that_promises_too_much_is_refused_before_it_is_read() {
    let mut pair = Pair::open(50, 50);
    pair.pay(0, 3);
    let (_, bytes) = pair.net.log.last().unwrap().clone();
    let Body::Update { state, .. } = Message::from_bytes(&bytes).unwrap().body else {
        panic!("the last message is the update");
    };
    let count_at = 1 + 32 + 1 + state.to_bytes().len();
    let mut spoilt = bytes;
    let too_many = u16::try_from(MAX_BATCH + 1).unwrap();
    spoilt[count_at..count_at + 2].copy_from_slice(&too_many.to_le_bytes());
    assert_eq!(Message::from_bytes(&spoilt), Err(DecodeError::TooLong));
}

#[test]
fn opaque_bytes_and_memos_have_their_limits() {
    assert!(Memo::new(vec![0; MAX_MEMO]).is_ok());
    assert_eq!(Memo::new(vec![0; MAX_MEMO + 1]), Err(TooLong));
    assert!(LedgerBytes::new(vec![0; MAX_LEDGER_BYTES]).is_ok());
    assert_eq!(LedgerBytes::new(vec![0; MAX_LEDGER_BYTES + 1]), Err(TooLong));
}
