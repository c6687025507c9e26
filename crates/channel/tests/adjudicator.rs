//! Laws of the verdict that need no ledger: one spelling for everything it reads, settlements that
//! add up, vaults that open for one cell only. What a whole transaction may do is tested beside the
//! scripts, in `onchain/ckb/tests`.

use perun_channel::adjudicator::{
    Action, CHANNEL_DATA_LENGTH, Cell, ChannelCell, CkbParticipant, Code, Consent, Decision, Env,
    MIN_CHANNEL_CAPACITY, MIN_RESERVE, Phase, Row, Setup, Slot, StateBody, View, WitnessArgs,
    WitnessField, held, judge, settlement_dues, vault_opens,
};
use perun_channel::codec::Encode;
use perun_channel::hash::ckb_hash;
use perun_channel::{
    Address, Allocation, Amount, Asset, ChannelId, Participant, Signature, State, Version,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

const ENV: Env = Env { channel_type: [0xc7; 32], vault_code: [0x71; 32] };

fn config() -> Config {
    Config { cases: 500, failure_persistence: None, ..Config::default() }
}

/// Reserves that carry any number of vaults, and what the channel holds of each asset.
fn setup() -> impl Strategy<Value = Setup> {
    let reserves = vec(MIN_RESERVE + 700_000_000_000..=MIN_RESERVE * 900, 2..=16);
    (reserves, 0..=4_u8, any::<bool>(), any::<[u8; 32]>(), 0..=u64::MAX / 1_000).prop_map(
        |(reserves, tokens, foreign, origin, total)| {
            let participants = reserves.iter().zip(1..).map(|(reserve, number)| {
                let identity = CkbParticipant {
                    consents_by_presence: false,
                    lends_fee: number % 2 == 0,
                    payout_lock: [number; 32],
                    owner_lock: [number; 32],
                    reserve: *reserve,
                };
                Participant::new(Address::new([number; 20]), identity.to_foreign()).unwrap()
            });
            let total = Amount::new(u128::from(total));
            let mut rows = Vec::new();
            if foreign {
                let asset = Asset::ethereum(1, Address::new([9; 20]));
                rows.push(Row { asset, total, vault_capacity: 0 });
            }
            rows.push(Row { asset: Asset::ckb(7), total, vault_capacity: 0 });
            rows.extend((0..tokens).map(|token| Row {
                asset: Asset::ckb_token(7, &[token; 32]),
                total,
                vault_capacity: (154 + u64::from(token)) * 100_000_000,
            }));
            Setup::new(origin, 7, 3_600, participants.collect(), rows).unwrap()
        },
    )
}

/// A state of the setup: every total goes to the participants by these weights.
fn state(setup: &Setup, version: u64, weights: &[u64]) -> State {
    let columns = setup.identities().len();
    let balances = setup.rows().iter().map(|row| {
        let mut rest = row.total.get();
        let mut shares: Vec<Amount> = (1..columns)
            .map(|index| {
                let share = rest * u128::from(weights[index % weights.len()] % 101) / 100;
                rest -= share;
                Amount::new(share)
            })
            .collect();
        shares.push(Amount::new(rest));
        shares
    });
    let assets = setup.rows().iter().map(|row| row.asset.clone()).collect();
    let outcome = Allocation::new(assets, balances.collect(), Vec::new()).unwrap();
    State::new(setup.id(), Version::new(version), outcome, Vec::new(), false).unwrap()
}

fn action() -> impl Strategy<Value = Action> {
    let signature = (any::<[u8; 32]>(), any::<[u8; 31]>(), 27..=28_u8)
        .prop_map(|(r, s, v)| Signature::new(&[&r[..], &[0], &s, &[v]].concat()).unwrap());
    let parts = (setup(), vec(any::<u64>(), 1..4), vec(signature, 0..4), any::<u8>(), 0..8_u8);
    parts.prop_map(|(setup, weights, signatures, slot, kind)| {
        let body = StateBody::of(&state(&setup, u64::from(slot), &weights));
        let slot = Slot::from_number(slot);
        match kind {
            0 => Action::Create { setup, body },
            1 => Action::Fund { setup, body },
            2 => Action::AbortFunding { setup, body },
            3 => Action::Register { setup, body, slot, signatures },
            4 => {
                let decision = match signatures.len() {
                    0 => None,
                    1 => Some(Decision::Refund),
                    _ => Some(Decision::Claim([slot.number(); 32])),
                };
                Action::Conclude { setup, body, decision }
            }
            5 => Action::Withdraw { setup, body },
            6 => Action::CloseFinal { setup, body, signatures },
            _ => {
                let signed = signatures.into_iter().map(Consent::Signature);
                let consents = signed.chain([Consent::Presence, Consent::Shared]).collect();
                Action::CoopSpend { setup, consents }
            }
        }
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_action_is_read_back(action in action()) {
        prop_assert_eq!(Action::read(&action.to_bytes()), Ok(action));
    }

    /// H-C2: what is read has no other spelling.
    #[test]
    fn a_changed_byte_is_refused_or_means_something_else(
        action in action(),
        position in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut bytes = action.to_bytes();
        let position = position.index(bytes.len());
        bytes[position] ^= change;
        if let Ok(other) = Action::read(&bytes) {
            prop_assert_eq!(other.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_shorter_or_longer_action_is_refused(
        action in action(), cut in any::<prop::sample::Index>(),
    ) {
        let bytes = action.to_bytes();
        prop_assert!(Action::read(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(Action::read(&[&bytes[..], &[0]].concat()).is_err());
    }

    #[test]
    fn any_bytes_are_an_action_or_a_code(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok(action) = Action::read(&bytes) {
            prop_assert_eq!(action.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_data_is_a_channel_cell_or_a_code(
        mut data in vec(any::<u8>(), CHANNEL_DATA_LENGTH - 1..=CHANNEL_DATA_LENGTH + 1),
        phase in 0..6_u8,
        claimed in 0..3_u8,
        sound in any::<bool>(),
    ) {
        if sound {
            data[..4].copy_from_slice(&[2, 1, phase, claimed]);
            data[80..].fill(0);
        }
        if let Ok(cell) = ChannelCell::from_data(&data) {
            prop_assert!(!cell.claimed || cell.phase == Phase::Concluded);
            prop_assert_eq!(cell.to_data(), data);
        }
    }

    #[test]
    fn an_envelope_is_read_back(
        lock in prop::option::of(vec(any::<u8>(), 0..40)),
        input_type in prop::option::of(vec(any::<u8>(), 0..40)),
        output_type in prop::option::of(vec(any::<u8>(), 0..40)),
    ) {
        let envelope = WitnessArgs { lock, input_type, output_type };
        let bytes = envelope.serialize();
        let read = |field| WitnessArgs::field(&bytes, field).map(<[u8]>::to_vec);
        prop_assert_eq!(read(WitnessField::Lock), envelope.lock);
        prop_assert_eq!(read(WitnessField::InputType), envelope.input_type);
        prop_assert_eq!(read(WitnessField::OutputType), envelope.output_type);
    }

    /// P-M1: rows may be paid in any order and steps; all get the same, and the cells hold what is
    /// owed.
    #[test]
    fn settlements_add_up(
        setup in setup(),
        weights in vec(any::<u64>(), 1..4),
        skipped in any::<u32>(),
        later in any::<u32>(),
    ) {
        let state = state(&setup, 3, &weights);
        let first = setup.token_mask() & skipped;
        let second = first & later;
        let mut paid = settlement_dues(&setup, state.outcome(), None, first).unwrap();
        if first != 0 {
            for (identity, due) in setup.identities().iter().zip(&paid) {
                // Everybody keeps what a plain cell needs.
                prop_assert!(due.capacity >= MIN_RESERVE && identity.reserve >= MIN_RESERVE);
            }
        }
        let mut before = first;
        for after in [second, 0] {
            if before != after {
                let more = settlement_dues(&setup, state.outcome(), Some(before), after).unwrap();
                for (sum, more) in paid.iter_mut().zip(more) {
                    sum.capacity += more.capacity;
                    sum.tokens.extend(more.tokens);
                }
                before = after;
            }
        }
        let mut at_once = settlement_dues(&setup, state.outcome(), None, 0).unwrap();
        let mut index = 0..;
        for (stepwise, whole) in paid.iter_mut().zip(&mut at_once) {
            prop_assert_eq!(stepwise.capacity, whole.capacity);
            let amounts = |due: &perun_channel::adjudicator::Due| {
                let mut amounts: Vec<_> =
                    due.tokens.iter().map(|due| (due.token, due.amount)).collect();
                amounts.sort_unstable();
                amounts
            };
            prop_assert_eq!(amounts(stepwise), amounts(whole));
            // Coins are never counted as room for tokens, and all of the reserve is.
            let index = index.next().unwrap();
            let coins = setup.rows().iter().position(|row| row.asset.is_ckb_coin());
            let coins = coins.and_then(|row| state.outcome().balance(row, index));
            let coins = u64::try_from(coins.map_or(0, |amount| amount.get())).unwrap();
            let room: u64 = whole.tokens.iter().map(|due| due.room).sum();
            prop_assert!(whole.tokens.is_empty() || room == whole.capacity - coins);
        }
        let coins: u128 = setup.rows().iter().find(|row| row.asset.is_ckb_coin())
            .map_or(0, |row| row.total.get());
        let reserves: u64 = setup.identities().iter().map(|identity| identity.reserve).sum();
        let all: u128 = at_once.iter().map(|due| u128::from(due.capacity)).sum();
        prop_assert_eq!(all, coins + u128::from(reserves));
    }

    /// The rent is never more than the cells hold, and shares only shrink as rows are paid.
    #[test]
    fn shares_of_the_rent_shrink(setup in setup(), skipped in any::<u32>(), later in any::<u32>()) {
        let (first, second) = (setup.token_mask() & skipped, setup.token_mask() & skipped & later);
        let rent = |marks: u32| -> u64 {
            let rows = setup.rows().iter().enumerate();
            let vaults = rows.filter(|(row, _)| marks >> row & 1 == 1);
            let vaults: u64 = vaults.map(|(_, row)| row.vault_capacity).sum();
            if marks == 0 { 0 } else { MIN_CHANNEL_CAPACITY + vaults }
        };
        let (more, less) = (held(&setup, first).unwrap(), held(&setup, second).unwrap());
        prop_assert!(more.iter().zip(&less).all(|(more, less)| more >= less));
        let lost = rent(first) - more.iter().sum::<u64>();
        prop_assert!(lost < 16, "{lost} shannons lost to rounding");
    }

    #[test]
    fn a_vault_opens_for_its_channel_only(
        kind in any::<[u8; 32]>(),
        id in any::<[u8; 32]>(),
        other in any::<[u8; 32]>(),
        data in vec(any::<u8>(), 0..80),
    ) {
        let args = ckb_hash(&[&kind, &id]);
        let cell = [&[2, 1, 1, 0, 0, 0, 0, 0], &id[..]].concat();
        let group = |kind: Option<[u8; 32]>, cell: &[u8]| {
            vault_opens(&args, [(None, data.as_slice()), (kind, cell)])
        };
        prop_assert_eq!(group(Some(kind), &cell), Ok(()));
        prop_assert_eq!(group(None, &cell), Err(Code::VaultClosed));
        prop_assert_eq!(group(Some(other), &cell), Err(Code::VaultClosed));
        prop_assert_eq!(group(Some(kind), &cell[..39]), Err(Code::VaultClosed));
        prop_assert_eq!(group(Some(kind), &data), Err(Code::VaultClosed));
        let nobody: [(_, &[u8]); 0] = [];
        prop_assert_eq!(vault_opens(&args, nobody), Err(Code::VaultClosed));
        let short = vault_opens(&args[1..], [(Some(kind), cell.as_slice())]);
        prop_assert_eq!(short, Err(Code::VaultArgs));
    }
}

/// P-A6, I9: whatever differs between two setups differs in the id, and so in every signature.
#[test]
fn everything_of_a_setup_is_in_the_id() {
    let identity = CkbParticipant {
        consents_by_presence: false,
        lends_fee: false,
        payout_lock: [1; 32],
        owner_lock: [2; 32],
        reserve: MIN_RESERVE * 20,
    };
    let rows = vec![
        Row { asset: Asset::ckb(7), total: Amount::new(5), vault_capacity: 0 },
        Row { asset: Asset::ckb_token(7, &[3; 32]), total: Amount::new(5), vault_capacity: 9 },
    ];
    let setup = |origin: u8, secs: u64, key: u8, identity: CkbParticipant, rows: Vec<Row>| {
        let other = Participant::new(Address::new([9; 20]), identity.to_foreign()).unwrap();
        let one = Participant::new(Address::new([key; 20]), identity.to_foreign()).unwrap();
        Setup::new([origin; 32], 7, secs, vec![one, other], rows).unwrap().id()
    };
    let mut ids = vec![
        setup(0, 3_600, 1, identity.clone(), rows.clone()),
        setup(1, 3_600, 1, identity.clone(), rows.clone()),
        setup(0, 3_601, 1, identity.clone(), rows.clone()),
        setup(0, 3_600, 2, identity.clone(), rows.clone()),
    ];
    let changes: [fn(&mut CkbParticipant); 5] = [
        |identity| identity.consents_by_presence = true,
        |identity| identity.lends_fee = true,
        |identity| identity.payout_lock[31] = 0,
        |identity| identity.owner_lock[0] = 0,
        |identity| identity.reserve += 1,
    ];
    ids.extend(changes.map(|change| {
        let mut changed = identity.clone();
        change(&mut changed);
        setup(0, 3_600, 1, changed, rows.clone())
    }));
    let changes: [fn(&mut Vec<Row>); 5] = [
        |rows| rows[0].total = Amount::new(6),
        |rows| rows[1].total = Amount::new(6),
        |rows| rows[1].vault_capacity += 1,
        |rows| rows[1].asset = Asset::ckb_token(7, &[4; 32]),
        |rows| drop(rows.remove(0)),
    ];
    ids.extend(changes.map(|change| {
        let mut changed = rows.clone();
        change(&mut changed);
        setup(0, 3_600, 1, identity.clone(), changed)
    }));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn codes_have_numbers_of_their_own() {
    for (position, code) in Code::ALL.iter().enumerate() {
        let number = code.exit_code();
        assert!(number > 0, "{code:?}: zero is acceptance, negative numbers are the machine's");
        assert_eq!(Code::from_exit_code(number), Some(*code));
        assert!(Code::ALL[..position].iter().all(|other| other.exit_code() < number), "{code:?}");
    }
    assert_eq!(Code::from_exit_code(0), None);
}

#[test]
fn a_transaction_without_channels_is_no_business_of_the_script() {
    let plain = Cell::new(5, [1; 32], None, &[]);
    let view = View {
        hash: [0; 32],
        first_input: [0; 44],
        inputs: Vec::new(),
        outputs: vec![plain],
        witnesses: Vec::new(),
    };
    assert_eq!(judge(&view, &ENV), Err(Code::NoChannel));
}

#[test]
fn a_cell_that_is_longer_than_it_looks_is_no_channel_cell() {
    let cell = ChannelCell {
        phase: Phase::Open,
        marks: 0,
        id: ChannelId::new([1; 32]),
        state_hash: [2; 32],
        version: Version::ZERO,
        claimed: false,
    };
    let data = [cell.to_data(), vec![0]].concat();
    let outputs = vec![Cell::new(MIN_CHANNEL_CAPACITY, [1; 32], Some(ENV.channel_type), &data)];
    assert_eq!(outputs[0].data.len(), CHANNEL_DATA_LENGTH);
    let (inputs, witnesses) = (Vec::new(), Vec::new());
    let view = View { hash: [0; 32], first_input: [0; 44], inputs, outputs, witnesses };
    assert_eq!(judge(&view, &ENV), Err(Code::CellData));
}
