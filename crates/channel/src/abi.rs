//! The bytes that are hashed and signed: Ethereum ABI encoding of parameters and states.
//!
//! Byte for byte what go-perun's Ethereum backend and Perun's contracts compute, so that a
//! signature made here verifies there and the reverse. Each top-level value is one dynamic tuple:
//! the encoding starts with the offset word `0x20`. This module only encodes; nothing on our side
//! ever parses ABI.

use alloc::vec::Vec;

use crate::{Allocation, Asset, Params, Participant, State, SubAlloc};

/// `abi.encode(Params)`.
#[must_use]
pub fn params(params: &Params) -> Vec<u8> {
    let mut tuple = Tuple::new(6);
    tuple.number(u128::from(params.challenge_secs()));
    tuple.word(params.nonce());
    tuple.dynamic(&array(params.participants().iter().map(participant)));
    tuple.word(&left_padded(params.app().as_bytes()));
    tuple.number(u128::from(params.is_ledger()));
    tuple.number(u128::from(params.is_virtual()));
    top_level(&tuple.finish())
}

/// `abi.encode(State)`.
#[must_use]
pub fn state(state: &State) -> Vec<u8> {
    let mut tuple = Tuple::new(5);
    tuple.word(state.id().as_bytes());
    tuple.number(u128::from(state.version().get()));
    tuple.dynamic(&allocation(state.outcome()));
    tuple.dynamic(&bytes(state.data()));
    tuple.number(u128::from(state.is_final()));
    top_level(&tuple.finish())
}

/// The bytes whose hash names a participant's deposit on Ethereum: `abi.encode(channelID,
/// address)`.
#[must_use]
pub fn funding(id: &crate::ChannelId, owner: &crate::Address) -> Vec<u8> {
    let mut out = id.as_bytes().to_vec();
    out.extend_from_slice(&left_padded(owner.as_bytes()));
    out
}

fn participant(participant: &Participant) -> Vec<u8> {
    let mut tuple = Tuple::new(2);
    tuple.word(&left_padded(participant.address().as_bytes()));
    tuple.dynamic(&bytes(participant.foreign()));
    tuple.finish()
}

fn allocation(outcome: &Allocation) -> Vec<u8> {
    let columns = outcome.columns();
    let mut tuple = Tuple::new(4);
    tuple.dynamic(&array(outcome.assets().iter().map(asset)));
    tuple.dynamic(&numbers(outcome.assets().iter().map(|asset| u128::from(asset.backend().get()))));
    tuple.dynamic(&array(
        outcome.balances().iter().map(|row| numbers(row.iter().map(|amount| amount.get()))),
    ));
    tuple.dynamic(&array(outcome.locked().iter().map(|entry| locked(entry, columns))));
    tuple.finish()
}

fn asset(asset: &Asset) -> Vec<u8> {
    let mut tuple = Tuple::new(3);
    tuple.number(u128::from(asset.chain()));
    tuple.word(&left_padded(asset.holder().as_bytes()));
    tuple.dynamic(&bytes(asset.foreign()));
    tuple.finish()
}

fn locked(entry: &SubAlloc, columns: usize) -> Vec<u8> {
    let mut tuple = Tuple::new(3);
    tuple.word(entry.id().as_bytes());
    tuple.dynamic(&numbers(entry.balances().iter().map(|amount| amount.get())));
    // An empty map means the identity; a shorter one is padded with zeros. Both as go-perun does.
    let map = (0..columns).map(|position| match entry.index_map().get(position) {
        Some(index) => u128::from(*index),
        None if entry.index_map().is_empty() => u128::try_from(position).unwrap_or(u128::MAX),
        None => 0,
    });
    tuple.dynamic(&numbers(map));
    tuple.finish()
}

/// A tuple under construction: one head word per field, dynamic fields' bytes behind them.
struct Tuple {
    head: Vec<u8>,
    tail: Vec<u8>,
    head_length: usize,
}

impl Tuple {
    fn new(fields: usize) -> Self {
        let head_length = fields.saturating_mul(32);
        Self { head: Vec::with_capacity(head_length), tail: Vec::new(), head_length }
    }

    fn word(&mut self, word: &[u8; 32]) {
        self.head.extend_from_slice(word);
    }

    fn number(&mut self, number: u128) {
        self.head.extend_from_slice(&uint(number));
    }

    fn dynamic(&mut self, encoded: &[u8]) {
        let offset = self.head_length.saturating_add(self.tail.len());
        self.head.extend_from_slice(&length(offset));
        self.tail.extend_from_slice(encoded);
    }

    fn finish(mut self) -> Vec<u8> {
        debug_assert_eq!(self.head.len(), self.head_length, "a tuple lacks a field");
        self.head.append(&mut self.tail);
        self.head
    }
}

/// An array of dynamic elements: the count, then a tuple of the elements.
fn array<I: ExactSizeIterator<Item = Vec<u8>>>(elements: I) -> Vec<u8> {
    let mut out = length(elements.len()).to_vec();
    let mut tuple = Tuple::new(elements.len());
    elements.for_each(|element| tuple.dynamic(&element));
    out.append(&mut tuple.finish());
    out
}

/// An array of numbers: the count, then one word each.
fn numbers<I: ExactSizeIterator<Item = u128>>(items: I) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.len().saturating_add(1).saturating_mul(32));
    out.extend_from_slice(&length(items.len()));
    items.for_each(|item| out.extend_from_slice(&uint(item)));
    out
}

/// A byte string: its length, then its bytes padded to whole words.
fn bytes(content: &[u8]) -> Vec<u8> {
    let mut out = length(content.len()).to_vec();
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(32), 0);
    out
}

fn top_level(tuple: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(tuple.len().saturating_add(32));
    out.extend_from_slice(&uint(32));
    out.extend_from_slice(tuple);
    out
}

fn length(length: usize) -> [u8; 32] {
    uint(u128::try_from(length).unwrap_or(u128::MAX))
}

fn uint(number: u128) -> [u8; 32] {
    left_padded(&number.to_be_bytes())
}

fn left_padded<const N: usize>(content: &[u8; N]) -> [u8; 32] {
    let mut word = [0; 32];
    if let Some(end) = word.last_chunk_mut::<N>() {
        *end = *content;
    }
    word
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{Address, Amount, ChannelId, Version};

    /// The words of an encoding as small numbers; larger ones read as their last eight bytes.
    fn words(encoded: &[u8]) -> Vec<u64> {
        let (words, rest) = encoded.as_chunks::<32>();
        assert!(rest.is_empty(), "an encoding is whole words");
        words.iter().map(|word| u64::from_be_bytes(word[24..].try_into().unwrap())).collect()
    }

    fn amounts<const N: usize>(numbers: [u128; N]) -> Vec<Amount> {
        numbers.map(Amount::new).to_vec()
    }

    fn state_of(locked: Vec<SubAlloc>, data: Vec<u8>) -> State {
        let outcome = Allocation::new(vec![Asset::ckb(9)], vec![amounts([5, 6])], locked).unwrap();
        State::new(ChannelId::new([1; 32]), Version::new(3), outcome, data, true).unwrap()
    }

    #[test]
    fn a_word_holds_its_content_on_the_right() {
        let mut expected = [0; 32];
        expected[30..].copy_from_slice(&[1, 2]);
        assert_eq!(left_padded(&[1, 2]), expected);
        assert_eq!(uint(0x0102), expected);
        assert_eq!(uint(u128::MAX)[..16], [0; 16]);
    }

    #[test]
    fn byte_strings_are_padded_to_words_and_empty_ones_are_a_length() {
        assert_eq!(bytes(&[]).len(), 32);
        for (count, length) in [(1, 64), (31, 64), (32, 64), (33, 96)] {
            let encoded = bytes(&vec![0xff; count]);
            assert_eq!(encoded.len(), length, "{count}");
            assert!(encoded[32 + count..].iter().all(|byte| *byte == 0), "{count}");
        }
    }

    /// Heads hold offsets from the start of their own tuple, and tails follow in order.
    #[test]
    fn a_state_is_laid_out_as_the_contracts_read_it() {
        let encoded = words(&state(&state_of(vec![], vec![0xee])));
        assert_eq!(encoded[0], 0x20);
        let [id, version, outcome, data, last] = encoded[1..6] else { panic!("five heads") };
        assert_eq!((id, version, outcome, last), (0x0101_0101_0101_0101, 3, 0xa0, 1));
        let at = |offset: u64| 1 + usize::try_from(offset).unwrap() / 32;
        assert_eq!(encoded[at(data)], 1, "the length of the data");
        let outcome = &encoded[at(0xa0)..];
        let part = |field: usize| &outcome[usize::try_from(outcome[field]).unwrap() / 32..];
        assert_eq!(outcome[0], 0x80);
        assert_eq!(part(0)[..5], [1, 0x20, 9, 0, 0x60], "one asset of chain 9, no holder");
        assert_eq!(part(1)[..2], [1, 3], "its backend");
        assert_eq!(part(2)[..5], [1, 0x20, 2, 5, 6], "one row of two balances");
        assert_eq!(part(3)[..1], [0], "nothing locked");
    }

    #[test]
    fn index_maps_are_filled_to_the_columns() {
        let map_of = |map: Vec<u16>| {
            let encoded = words(&locked(&SubAlloc::new(ChannelId::new([0; 32]), vec![], map), 3));
            assert_eq!(encoded[..4], [0, 0x60, 0x80, 0]);
            encoded[4..].to_vec()
        };
        assert_eq!(map_of(vec![]), [3, 0, 1, 2], "empty is the identity");
        assert_eq!(map_of(vec![2]), [3, 2, 0, 0], "short is filled with zeros");
        assert_eq!(map_of(vec![2, 1, 0]), [3, 2, 1, 0]);
    }

    #[test]
    fn the_name_of_a_deposit_is_two_words() {
        let encoded = funding(&ChannelId::new([7; 32]), &Address::new([8; 20]));
        assert_eq!(encoded, [&[7; 32][..], &[0; 12], &[8; 20]].concat());
    }
}
