//! How values are drawn: small shapes mostly, the limits sometimes, awkward numbers often.

use perun_channel::{
    Address, Allocation, Amount, Asset, BackendId, ChannelId, Params, Participant, State, SubAlloc,
    Version,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

/// The balance matrix that `outcome` draws stays below this, so that no sum leaves 128 bits.
const LARGEST_AMOUNT: u128 = u128::MAX / 64;

fn foreign() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![0; 32]), Just(Vec::new()), vec(any::<u8>(), 0..=128)]
}

pub(crate) fn params() -> impl Strategy<Value = Params> {
    let participants = btree_set(any::<[u8; 20]>(), 2..=16)
        .prop_flat_map(|set| set.into_iter().map(|one| (Just(one), foreign())).collect::<Vec<_>>());
    let kind = (any::<[u8; 20]>(), any::<bool>(), any::<bool>());
    (1..=u64::MAX, any::<[u8; 32]>(), participants, kind).prop_map(
        |(challenge, nonce, participants, (app, is_ledger, is_virtual))| {
            let participants = participants
                .into_iter()
                .map(|(address, foreign)| Participant::new(Address::new(address), foreign).unwrap())
                .collect();
            let app = Address::new(app);
            Params::with_kind(challenge, nonce, participants, app, is_ledger, is_virtual).unwrap()
        },
    )
}

fn asset() -> impl Strategy<Value = Asset> {
    let any_asset = (any::<u32>(), any::<u64>(), any::<[u8; 20]>(), foreign());
    prop_oneof![
        (any::<u64>(), any::<[u8; 20]>())
            .prop_map(|(chain, holder)| Asset::ethereum(chain, Address::new(holder))),
        any::<u64>().prop_map(Asset::ckb),
        (any::<u64>(), any::<[u8; 32]>()).prop_map(|(chain, hash)| Asset::ckb_token(chain, &hash)),
        any_asset.prop_map(|(backend, chain, holder, foreign)| {
            Asset::new(BackendId::new(backend), chain, Address::new(holder), foreign).unwrap()
        }),
    ]
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        Just(0),
        Just(1),
        0..=1_000_u128,
        Just(u128::from(u64::MAX)),
        0..=LARGEST_AMOUNT,
        Just(LARGEST_AMOUNT)
    ]
    .prop_map(Amount::new)
}

fn locked(rows: usize, columns: usize) -> impl Strategy<Value = SubAlloc> {
    let map = vec(0..u16::try_from(columns).unwrap(), 0..=columns);
    (any::<[u8; 32]>(), vec(amount(), rows), map)
        .prop_map(|(id, balances, map)| SubAlloc::new(ChannelId::new(id), balances, map))
}

/// The number of assets, participants and locked entries; together below 64 in each row.
fn shape() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        8 => (1..=3_usize, 2..=3_usize, 0..=2_usize),
        1 => (1..=16_usize, 1..=16_usize, 0..=32_usize),
    ]
}

pub(crate) fn outcome() -> impl Strategy<Value = Allocation> {
    shape().prop_flat_map(|(rows, columns, entries)| {
        let assets = btree_set(asset(), rows).prop_map(|set| set.into_iter().collect());
        let balances = vec(vec(amount(), columns), rows);
        let locked = vec(locked(rows, columns), entries);
        (assets, balances, locked).prop_map(|(assets, balances, locked)| {
            Allocation::new(assets, balances, locked).unwrap()
        })
    })
}

pub(crate) fn state() -> impl Strategy<Value = State> {
    let version = prop_oneof![0..9_u64, any::<u64>(), Just(u64::MAX)];
    let data = prop_oneof![
        4 => Just(Vec::new()),
        2 => vec(any::<u8>(), 0..=70),
        1 => vec(any::<u8>(), 1_024),
    ];
    (any::<[u8; 32]>(), version, outcome(), data, any::<bool>()).prop_map(
        |(id, version, outcome, data, is_final)| {
            let version = Version::new(version);
            State::new(ChannelId::new(id), version, outcome, data, is_final).unwrap()
        },
    )
}

/// A change to good bytes, to reach behind the first length field more often than noise does.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Flip(prop::sample::Index, u8),
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
}

impl Damage {
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            _ if bytes.is_empty() => {}
            Self::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << (bit % 8);
            }
            Self::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Self::Remove(at) => {
                bytes.remove(at.index(bytes.len()));
            }
        }
    }
}

pub(crate) fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let at = any::<prop::sample::Index>;
    let one = prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        at().prop_map(Damage::Cut),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        at().prop_map(Damage::Remove),
    ];
    vec(one, 1..=3)
}
