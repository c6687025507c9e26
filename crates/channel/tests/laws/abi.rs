//! R3 for what is signed: whatever differs between two values differs in their hashes, but for the
//! index maps that Ethereum writes alike.

use std::collections::BTreeMap;

use perun_channel::{
    Address, Allocation, Amount, Asset, BackendId, ChannelId, Params, Participant, State, SubAlloc,
    Version, abi,
};
use proptest::prelude::*;

use crate::{config, draw};

/// The index map as it is signed.
fn signed_map(entry: &SubAlloc, columns: usize) -> Vec<u16> {
    let mut map = entry.index_map().to_vec();
    if map.is_empty() {
        map = (0..).take(columns).collect();
    }
    map.resize(columns, 0);
    map
}

/// The same outcome with every index map written out in full.
fn normal(outcome: &Allocation) -> Allocation {
    let columns = outcome.columns();
    let locked = outcome.locked().iter();
    let locked = locked.map(|entry| {
        SubAlloc::new(*entry.id(), entry.balances().to_vec(), signed_map(entry, columns))
    });
    let balances = outcome.balances().to_vec();
    Allocation::new(outcome.assets().to_vec(), balances, locked.collect()).unwrap()
}

fn with_outcome(state: &State, outcome: Allocation) -> State {
    let data = state.data().to_vec();
    State::new(*state.id(), state.version(), outcome, data, state.is_final()).unwrap()
}

/// Another asset, differing in one field: backend, chain, holder, last foreign byte, foreign
/// length.
fn other_assets(asset: &Asset) -> Vec<Asset> {
    let make = |backend: u32, chain, holder, foreign: Vec<u8>| {
        Asset::new(BackendId::new(backend), chain, holder, foreign).unwrap()
    };
    let (backend, chain) = (asset.backend().get(), asset.chain());
    let (holder, foreign) = (*asset.holder(), asset.foreign().to_vec());
    let mut flipped = *holder.as_bytes();
    flipped[19] ^= 1;
    let mut shorter = foreign.clone();
    let mut others = vec![
        make(backend ^ 1, chain, holder, foreign.clone()),
        make(backend ^ 1 << 31, chain, holder, foreign.clone()),
        make(backend, chain ^ 1, holder, foreign.clone()),
        make(backend, chain ^ 1 << 63, holder, foreign.clone()),
        make(backend, chain, Address::new(flipped), foreign.clone()),
    ];
    if shorter.pop().is_some() {
        // One zero less behind the same content: the padding must not hide it.
        others.push(make(backend, chain, holder, shorter.clone()));
        shorter.push(foreign[foreign.len() - 1] ^ 1);
        others.push(make(backend, chain, holder, shorter));
    }
    others
}

/// All states that differ from this one in one small thing that is signed.
fn neighbours(state: &State) -> Vec<State> {
    let outcome = state.outcome();
    let (id, version, data) = (*state.id(), state.version(), state.data().to_vec());
    let make = |id, version, data: Vec<u8>, is_final| {
        State::new(id, version, outcome.clone(), data, is_final).ok()
    };
    let mut other_id = *id.as_bytes();
    other_id[31] ^= 1;
    let longer = [data.as_slice(), &[0]].concat();
    let mut all: Vec<State> = [
        make(ChannelId::new(other_id), version, data.clone(), state.is_final()),
        make(id, Version::new(version.get() ^ 1), data.clone(), state.is_final()),
        make(id, Version::new(version.get() ^ 1 << 63), data.clone(), state.is_final()),
        make(id, version, longer, state.is_final()),
        make(id, version, data, !state.is_final()),
    ]
    .into_iter()
    .flatten()
    .collect();
    all.extend(other_outcomes(outcome).into_iter().map(|outcome| with_outcome(state, outcome)));
    all
}

fn other_outcomes(outcome: &Allocation) -> Vec<Allocation> {
    let (assets, balances) = (outcome.assets().to_vec(), outcome.balances().to_vec());
    let locked = outcome.locked().to_vec();
    let mut all = Vec::new();
    for (row, asset) in assets.iter().enumerate() {
        for other in other_assets(asset) {
            let mut assets = assets.clone();
            assets[row] = other;
            all.extend(Allocation::new(assets, balances.clone(), locked.clone()));
        }
        for column in 0..outcome.columns() {
            let mut balances = balances.clone();
            balances[row][column] = Amount::new(balances[row][column].get() ^ 1);
            all.extend(Allocation::new(assets.clone(), balances, locked.clone()));
        }
    }
    let mut wider = balances.clone();
    wider.iter_mut().for_each(|row| row.push(Amount::ZERO));
    all.extend(Allocation::new(assets.clone(), wider, locked.clone()));
    for (position, entry) in locked.iter().enumerate() {
        for other in other_entries(entry, outcome.columns()) {
            let mut locked = locked.clone();
            locked[position] = other;
            all.extend(Allocation::new(assets.clone(), balances.clone(), locked));
        }
    }
    let mut fewer = locked;
    if fewer.pop().is_some() {
        all.extend(Allocation::new(assets, balances, fewer));
    }
    all
}

fn other_entries(entry: &SubAlloc, columns: usize) -> Vec<SubAlloc> {
    let balances = entry.balances().to_vec();
    let mut id = *entry.id().as_bytes();
    id[0] ^= 0x80;
    let mut all =
        vec![SubAlloc::new(ChannelId::new(id), balances.clone(), entry.index_map().to_vec())];
    for row in 0..balances.len() {
        let mut balances = balances.clone();
        balances[row] = Amount::new(balances[row].get() ^ 1);
        all.push(SubAlloc::new(*entry.id(), balances, entry.index_map().to_vec()));
    }
    if columns > 1 {
        let mut map = signed_map(entry, columns);
        map[columns - 1] = (map[columns - 1] + 1) % u16::try_from(columns).unwrap();
        all.push(SubAlloc::new(*entry.id(), balances, map));
    }
    all
}

/// Values whose encodings must all differ; names the two that do not.
fn all_differ<T: std::fmt::Debug>(
    values: &[T],
    key: impl Fn(&T) -> [u8; 32],
) -> Result<(), TestCaseError> {
    let mut seen = BTreeMap::new();
    for value in values {
        let earlier = seen.insert(key(value), value);
        prop_assert!(earlier.is_none(), "one hash for {:?} and {:?}", earlier, value);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn w05_each_field_of_a_state_changes_its_digest(state in draw::state()) {
        let around = neighbours(&state);
        prop_assert!(around.len() >= 4 + state.outcome().assets().len());
        let digest = state.digest();
        for other in &around {
            prop_assert_ne!(other.digest(), digest, "{:?} like {:?}", other, state);
        }
    }

    #[test]
    fn two_states_hash_alike_only_if_they_are_signed_alike(
        one in draw::state(),
        other in draw::state(),
    ) {
        let normalized = |state: &State| with_outcome(state, normal(state.outcome()));
        prop_assert_eq!(one.hash(), normalized(&one).hash());
        let alike = normalized(&one) == normalized(&other);
        prop_assert_eq!(abi::state(&one) == abi::state(&other), alike);
    }

    #[test]
    fn each_field_of_the_params_changes_the_id(params in draw::params()) {
        let parties = params.participants();
        let make = |secs, nonce, parties: Vec<Participant>, app, ledger, virtual_| {
            Params::with_kind(secs, nonce, parties, app, ledger, virtual_).ok()
        };
        let (secs, nonce) = (params.challenge_secs(), *params.nonce());
        let (app, ledger, virtual_) = (*params.app(), params.is_ledger(), params.is_virtual());
        let (mut other_nonce, mut other_app) = (nonce, *app.as_bytes());
        other_nonce[0] ^= 0x80;
        other_app[0] ^= 1;
        let mut all = vec![
            Some(params.clone()),
            make(secs ^ 1 << 63, nonce, parties.to_vec(), app, ledger, virtual_),
            make(secs, other_nonce, parties.to_vec(), app, ledger, virtual_),
            make(secs, nonce, parties.to_vec(), Address::new(other_app), ledger, virtual_),
            make(secs, nonce, parties.to_vec(), app, !ledger, virtual_),
            make(secs, nonce, parties.to_vec(), app, ledger, !virtual_),
            make(secs, nonce, parties[1..].to_vec(), app, ledger, virtual_),
            make(secs, nonce, parties.iter().rev().cloned().collect(), app, ledger, virtual_),
        ];
        for (position, party) in parties.iter().enumerate() {
            let longer = [party.foreign(), &[0]].concat();
            let mut address = *party.address().as_bytes();
            address[0] ^= 0x55;
            let others = [
                Participant::new(*party.address(), longer),
                Participant::new(Address::new(address), party.foreign().to_vec()),
            ];
            for other in others.into_iter().flatten() {
                let mut parties = parties.to_vec();
                parties[position] = other;
                all.push(make(secs, nonce, parties, app, ledger, virtual_));
            }
        }
        let all: Vec<Params> = all.into_iter().flatten().collect();
        all_differ(&all, |params| *params.id().as_bytes())?;
    }

    #[test]
    fn encodings_are_whole_words_behind_the_offset(
        state in draw::state(), params in draw::params(),
    ) {
        for encoded in [abi::state(&state), abi::params(&params)] {
            prop_assert!(encoded.len().is_multiple_of(32));
            prop_assert!(encoded[..31].iter().all(|byte| *byte == 0) && encoded[31] == 32);
        }
    }
}
