use alloc::vec;

use super::{ExpiryRefusal as X, SwapError as E, *};
use crate::{Address, ChannelId, Invalid, SubAlloc};

const SECRET: [u8; 32] = [7; 32];

const fn leg(asset: u8, from: u8, to: u8, expiry: u64, amount: u128) -> Leg {
    Leg { asset, from, to, expiry, amount: Amount::new(amount) }
}

fn swap_of(legs: &[Leg]) -> Result<Swap, E> {
    Swap::new(Swap::lock_of(&SECRET), legs.to_vec())
}

/// Party 0 gives 30 of the first asset for 5 of the second.
fn swap() -> Swap {
    swap_of(&[leg(0, 0, 1, 2_000, 30), leg(1, 1, 0, 1_000, 5)]).unwrap()
}

fn outcome(rows: [[u128; 2]; 2]) -> Allocation {
    let assets = vec![Asset::ethereum(1, Address::new([9; 20])), Asset::ckb(2)];
    let rows = rows.map(|row| row.map(Amount::new).to_vec()).to_vec();
    let locked = SubAlloc::new(ChannelId::new([5; 32]), vec![Amount::new(2); 2], vec![]);
    Allocation::new(assets, rows, vec![locked]).unwrap()
}

fn before() -> Allocation {
    outcome([[100, 0], [0, 5]])
}

fn state(data: Vec<u8>) -> State {
    State::new(ChannelId::new([3; 32]), Version::new(4), before(), data, false).unwrap()
}

fn is_coin(asset: &Asset) -> bool {
    asset.is_ckb_coin()
}

#[test]
fn a_swap_is_its_format_its_lock_and_its_legs() {
    let data = swap().to_data();
    assert_eq!(data.len(), 33 + 2 * 27);
    assert_eq!((data[0], &data[1..33]), (1, &sha256(&SECRET)[..]));
    let first = [&[0, 0, 1][..], &2_000_u64.to_be_bytes(), &30_u128.to_be_bytes()].concat();
    assert_eq!(data[33..60], first);
    assert_eq!(Swap::from_data(&data), Ok(swap()));
}

#[test]
fn other_bytes_are_no_swap() {
    let data = swap().to_data();
    for format in [0, 2, 255] {
        let other = [&[format][..], &data[1..]].concat();
        assert_eq!(Swap::from_data(&other), Err(E::Format), "{format}");
    }
    for end in (0..data.len()).filter(|end| *end != 60) {
        assert_eq!(Swap::from_data(&data[..end]), Err(E::Length), "up to {end}");
    }
    assert_eq!(Swap::from_data(&[&data[..], &[0]].concat()), Err(E::Length));
    assert_eq!(Swap::from_data(&data[..60]).map(|swap| swap.legs().len()), Ok(1));
}

#[test]
fn legs_obey_their_laws() {
    let good = leg(1, 0, 1, 1_000, 5);
    let cases = [
        (vec![], E::Length),
        (vec![good, good], E::Order),
        (vec![good, leg(0, 0, 1, 1_000, 5)], E::Order),
        (vec![leg(1, 1, 1, 1_000, 5)], E::SamePayee),
        (vec![leg(1, 0, 1, 0, 5)], E::Expiry),
        (vec![leg(1, 0, 1, EXPIRY_END, 5)], E::Expiry),
        (vec![leg(1, 0, 1, u64::MAX, 5)], E::Expiry),
        (vec![leg(1, 0, 1, 1_000, 0)], E::NoAmount),
    ];
    for (legs, refusal) in cases {
        assert_eq!(swap_of(&legs), Err(refusal), "{legs:?}");
        let mut data = vec![FORMAT];
        data.extend_from_slice(&[0; 32]);
        for leg in &legs {
            data.extend_from_slice(&[leg.asset, leg.from, leg.to]);
            data.extend_from_slice(&leg.expiry.to_be_bytes());
            data.extend_from_slice(&leg.amount.get().to_be_bytes());
        }
        assert_eq!(Swap::from_data(&data), Err(refusal), "{legs:?}");
    }
    assert!(swap_of(&[leg(1, 0, 1, EXPIRY_END - 1, 5)]).is_ok());
}

#[test]
fn a_swap_fits_assets_participants_and_balances() {
    let fits = |leg: Leg| swap_of(&[leg]).unwrap().fits(&before());
    assert_eq!(fits(leg(0, 0, 1, 1, 100)), Ok(()));
    assert_eq!(fits(leg(0, 0, 1, 1, 101)), Err(E::Balance));
    assert_eq!(fits(leg(1, 0, 1, 1, 1)), Err(E::Balance));
    assert_eq!(fits(leg(2, 0, 1, 1, 1)), Err(E::NoAsset));
    assert_eq!(fits(leg(0, 2, 1, 1, 1)), Err(E::NoParticipant));
    assert_eq!(fits(leg(0, 0, 2, 1, 1)), Err(E::NoParticipant));
}

#[test]
fn the_lock_opens_for_its_preimage_alone() {
    assert!(swap().opened_by(&SECRET));
    assert!(!swap().opened_by(&[8; 32]));
    assert!(!swap().opened_by(swap().lock()));
}

#[test]
fn legs_move_on_the_ledgers_that_are_named_and_sums_stay() {
    let swap = swap();
    let all = swap.applied(&before(), |_| true).unwrap();
    assert_eq!(all, outcome([[70, 30], [5, 0]]));
    assert_eq!(swap.applied(&before(), is_coin), Ok(outcome([[100, 0], [5, 0]])));
    assert_eq!(swap.applied(&before(), |_| false), Ok(before()));
    assert_eq!(all.totals(), before().totals());
    assert_eq!(swap.applied(&outcome([[29, 0], [0, 5]]), is_coin), Err(E::Balance));
}

#[test]
fn a_ledgers_expiry_is_that_of_its_last_leg() {
    assert_eq!(swap().expiry(&before(), |_| true), Some(2_000));
    assert_eq!(swap().expiry(&before(), is_coin), Some(1_000));
    assert_eq!(swap().expiry(&before(), |_| false), None);
}

#[test]
fn the_steps_lead_to_one_state_each() {
    let (plain, version) = (state(vec![]), Version::new(9));
    let pending = SwapStep::Start(&swap()).after(&plain, version).unwrap();
    assert_eq!((pending.outcome(), pending.version()), (plain.outcome(), version));
    assert_eq!(Swap::pending(&pending), Ok(Some(swap())));
    let done = SwapStep::Finish.after(&pending, Version::new(10)).unwrap();
    assert_eq!(done, plain.at_version(Version::new(10), outcome([[70, 30], [5, 0]])));
    let gone = SwapStep::Cancel.after(&pending, Version::new(11)).unwrap();
    assert_eq!(gone, plain.at_version(Version::new(11), before()));
}

#[test]
fn one_swap_is_pending_at_a_time_and_none_at_the_end() {
    let (plain, pending) = (state(vec![]), state(swap().to_data()));
    let (swap, version) = (swap(), Version::new(9));
    let start = SwapStep::Start(&swap);
    assert_eq!(start.after(&pending, version), Err(E::Pending));
    assert_eq!(SwapStep::Finish.after(&plain, version), Err(E::NotPending));
    assert_eq!(SwapStep::Cancel.after(&plain, version), Err(E::NotPending));
    for last in [plain.clone(), pending] {
        for step in [start, SwapStep::Finish, SwapStep::Cancel] {
            assert_eq!(step.after(&last.clone().finalized(), version), Err(E::Final));
        }
    }
    let large = swap_of(&[leg(0, 0, 1, 1, 101)]).unwrap();
    assert_eq!(SwapStep::Start(&large).after(&plain, version), Err(E::Balance));
}

/// The longest swap that fits any channel fits the app data of a state.
#[test]
fn data_has_room_for_a_leg_of_every_asset() {
    let legs: Vec<Leg> = (0..16).map(|asset| leg(asset, 0, 1, 1, 1)).collect();
    assert!(swap_of(&legs).unwrap().to_data().len() <= crate::MAX_DATA);
    let data = vec![1; crate::MAX_DATA + 1];
    let long = State::new(ChannelId::new([3; 32]), Version::ZERO, before(), data, false);
    assert_eq!(long, Err(Invalid::DataLength));
}

#[test]
fn expiries_are_neither_too_soon_nor_too_late_nor_too_close() {
    let leads = Leads { lead: 100, gap: 500, longest: 3_000 };
    // Party 0 takes until `taken` and gives until `given`.
    let check = |taken, given, now, holder| {
        let swap = swap_of(&[leg(0, 0, 1, given, 1), leg(1, 1, 0, taken, 1)]).unwrap();
        swap.check_expiries(holder, now, &leads)
    };
    assert_eq!(check(1_000, 1_500, 900, 0), Ok(()));
    assert_eq!(check(1_000, 1_500, 901, 0), Err(X::Soon));
    assert_eq!(check(1_000, 1_499, 900, 0), Err(X::Gap));
    assert_eq!(check(1_500, 1_000, 100, 0), Err(X::Gap));
    assert_eq!(check(1_500, 1_000, 100, 1), Ok(()), "the other one knows the preimage");
    assert_eq!(check(1_000, 3_900, 900, 0), Ok(()));
    assert_eq!(check(1_000, 3_901, 900, 0), Err(X::Late));
    assert_eq!(check(1_000, 1_500, u64::MAX, 0), Err(X::Soon));
    assert_eq!(check(1_000, 1_500, 900, 2), Err(X::OneSided));
    let gift = swap_of(&[leg(0, 1, 0, 1_000, 1)]).unwrap();
    assert_eq!(gift.check_expiries(0, 0, &leads), Err(X::OneSided));
}
