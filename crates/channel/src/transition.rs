//! The rules for going from one state to the next, for every channel, before any app is asked.
//!
//! They are go-perun's generic transition rules and the ones it leaves out: the number of columns,
//! the assets with their backends, and locked entries with their index maps are compared in full,
//! and a final state locks nothing. A channel without an app may carry a pending swap, which only
//! the steps of [`SwapStep`] bring and take away.

use crate::swap::{Swap, SwapError, SwapStep};
use crate::{Address, ChannelId, Params, State, Version};

/// Which rule a proposed next state breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransitionRefusal {
    /// The state belongs to another channel.
    ChannelId,
    /// The current state is final; nothing may follow.
    Final,
    /// The version is not the one that is expected next.
    Version,
    /// The balances have not one column for each participant.
    Columns,
    /// The assets, their order, chains or backends changed.
    Assets,
    /// The sum of an asset changed: money would appear or vanish.
    Sum,
    /// A final state must not lock amounts; no adjudicator could settle it at once.
    FinalWithLocked,
    /// A locked entry appeared, vanished or changed, its index map included.
    Locked,
    /// The app data of a channel without an app is neither empty nor a swap that fits the balances,
    /// or the step cannot be made with it.
    Swap(SwapError),
    /// A swap is pending before or after an ordinary update.
    SwapPending,
    /// The state is not exactly the one that the swap's step leads to.
    SwapStep,
}

impl core::fmt::Display for TransitionRefusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::ChannelId => "the state belongs to another channel",
            Self::Final => "the current state is final; nothing may follow it",
            Self::Version => "the version is not the next one",
            Self::Columns => "the balances have not one column for each participant",
            Self::Assets => "the assets changed",
            Self::Sum => "the sum of an asset changed",
            Self::FinalWithLocked => "a final state must not lock amounts",
            Self::Locked => "locked entries changed in an ordinary update",
            Self::Swap(reason) => return reason.fmt(f),
            Self::SwapPending => "a swap is pending; it must be finished or cancelled first",
            Self::SwapStep => "the state is not exactly what the swap's step leads to",
        })
    }
}

impl core::error::Error for TransitionRefusal {}

/// Whether `state` can belong to the channel at all: its id, its columns, its data, its finality.
pub fn check_state(params: &Params, state: &State) -> Result<(), TransitionRefusal> {
    check_state_of(params, &params.id(), state)
}

/// [`check_state`] for a caller who keeps the parameters' id, so that it is not hashed once per
/// state. `id` must be [`Params::id`].
fn check_state_of(params: &Params, id: &ChannelId, state: &State) -> Result<(), TransitionRefusal> {
    use TransitionRefusal as R;
    let rules = [
        (state.id() == id, R::ChannelId),
        (state.outcome().columns() == params.participants().len(), R::Columns),
        (!state.is_final() || state.outcome().locked().is_empty(), R::FinalWithLocked),
    ];
    first_broken(&rules)?;
    if *params.app() == Address::ZERO { check_swap_in(state).map_err(R::Swap) } else { Ok(()) }
}

/// Whether a state of a channel without an app carries nothing, or one swap that fits it.
fn check_swap_in(state: &State) -> Result<(), SwapError> {
    match Swap::pending(state)? {
        None => Ok(()),
        Some(_) if state.is_final() => Err(SwapError::Final),
        Some(swap) => swap.fits(state.outcome()),
    }
}

/// Whether `next` may follow `current` with exactly the version `expected`.
pub fn check(
    params: &Params,
    current: &State,
    next: &State,
    expected: Version,
) -> Result<(), TransitionRefusal> {
    check_of(params, &params.id(), current, next, expected)
}

fn check_of(
    params: &Params,
    id: &ChannelId,
    current: &State,
    next: &State,
    expected: Version,
) -> Result<(), TransitionRefusal> {
    use TransitionRefusal as R;
    check_state_of(params, id, next)?;
    let rules = [
        (!current.is_final(), R::Final),
        (next.version() == expected && next.version() > current.version(), R::Version),
        (next.outcome().assets() == current.outcome().assets(), R::Assets),
        (next.outcome().totals() == current.outcome().totals(), R::Sum),
    ];
    first_broken(&rules)
}

/// [`check`], no locked entry changes, and no swap is pending: the rule for payments and other
/// ordinary updates.
pub fn check_ordinary(
    params: &Params,
    current: &State,
    next: &State,
    expected: Version,
) -> Result<(), TransitionRefusal> {
    check_ordinary_of(params, &params.id(), current, next, expected)
}

/// [`check_ordinary`] for a caller who keeps the parameters' id, so that it is not hashed once per
/// payment. `id` must be [`Params::id`].
pub fn check_ordinary_of(
    params: &Params,
    id: &ChannelId,
    current: &State,
    next: &State,
    expected: Version,
) -> Result<(), TransitionRefusal> {
    use TransitionRefusal as R;
    check_of(params, id, current, next, expected)?;
    let empty = current.data().is_empty() && next.data().is_empty();
    first_broken(&[
        (next.outcome().locked() == current.outcome().locked(), R::Locked),
        (*params.app() != Address::ZERO || empty, R::SwapPending),
    ])
}

/// Whether `next` is exactly the state that this step of a swap leads to from `current`, with the
/// version `expected`. `id` must be [`Params::id`].
pub fn check_swap_step_of(
    params: &Params,
    id: &ChannelId,
    current: &State,
    next: &State,
    expected: Version,
    step: &SwapStep<'_>,
) -> Result<(), TransitionRefusal> {
    use TransitionRefusal as R;
    if *params.app() != Address::ZERO {
        return Err(R::Swap(SwapError::App));
    }
    check_of(params, id, current, next, expected)?;
    let exact = step.after(current, expected).map_err(R::Swap)?;
    first_broken(&[(*next == exact, R::SwapStep)])
}

fn first_broken(rules: &[(bool, TransitionRefusal)]) -> Result<(), TransitionRefusal> {
    match rules.iter().find(|(holds, _)| !holds) {
        Some((_, refusal)) => Err(*refusal),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{TransitionRefusal as R, *};
    use crate::swap::Leg;
    use crate::{Address, Allocation, Amount, Asset, BackendId, Participant, SubAlloc};

    const HOLDER: Address = Address::new([0x77; 20]);

    fn params_of(app: Address) -> Params {
        let party = |byte| Participant::new(Address::new([byte; 20]), vec![0; 32]).unwrap();
        let parties = vec![party(1), party(2)];
        Params::with_kind(60, [7; 32], parties, app, true, false).unwrap()
    }

    fn params() -> Params {
        params_of(Address::ZERO)
    }

    fn entry(map: Vec<u16>) -> SubAlloc {
        SubAlloc::new(ChannelId::new([0xaa; 32]), vec![Amount::new(20)], map)
    }

    fn outcome(balances: &[u128], locked: Vec<SubAlloc>) -> Allocation {
        let row = balances.iter().copied().map(Amount::new).collect();
        Allocation::new(vec![Asset::ethereum(1, HOLDER)], vec![row], locked).unwrap()
    }

    fn state(version: u64, outcome: Allocation) -> State {
        let version = Version::new(version);
        State::new(params().id(), version, outcome, vec![], false).unwrap()
    }

    /// Version 4 with 100 and 200, nothing locked; every test changes one thing after it.
    fn current() -> State {
        state(4, outcome(&[100, 200], vec![]))
    }

    fn verdict(next: &State) -> Result<(), R> {
        check_ordinary(&params(), &current(), next, Version::new(5))
    }

    #[test]
    fn a_payment_passes() {
        assert_eq!(verdict(&state(5, outcome(&[90, 210], vec![]))), Ok(()));
        assert_eq!(verdict(&state(5, outcome(&[0, 300], vec![])).finalized()), Ok(()));
    }

    #[test]
    fn channel_id_must_match() {
        let id = ChannelId::new([9; 32]);
        let next =
            State::new(id, Version::new(5), outcome(&[100, 200], vec![]), vec![], false).unwrap();
        assert_eq!(verdict(&next), Err(R::ChannelId));
        assert_eq!(check_state(&params(), &next), Err(R::ChannelId));
    }

    #[test]
    fn final_is_the_last() {
        let last = current().finalized();
        let next = state(5, outcome(&[100, 200], vec![]));
        let version = Version::new(5);
        assert_eq!(check(&params(), &last, &next, version), Err(R::Final));
        assert_eq!(check(&params(), &last, &next.finalized(), version), Err(R::Final));
    }

    #[test]
    fn version_must_be_the_expected_one() {
        for version in [0, 3, 4, 6, u64::MAX] {
            let next = state(version, outcome(&[100, 200], vec![]));
            assert_eq!(verdict(&next), Err(R::Version), "{version}");
        }
    }

    #[test]
    fn version_must_rise_even_if_the_caller_expects_otherwise() {
        for version in [0, 3, 4] {
            let next = state(version, outcome(&[90, 210], vec![]));
            let verdict = check(&params(), &current(), &next, Version::new(version));
            assert_eq!(verdict, Err(R::Version), "{version}");
        }
    }

    #[test]
    fn version_may_skip_what_was_rejected() {
        let next = state(7, outcome(&[90, 210], vec![]));
        assert_eq!(check(&params(), &current(), &next, Version::new(7)), Ok(()));
    }

    /// C5: one column more or fewer keeps the sum, registers, and can never be paid out.
    #[test]
    fn columns_must_be_the_participants() {
        for balances in [&[300][..], &[100, 200, 0], &[100, 100, 100]] {
            let next = state(5, outcome(balances, vec![]));
            assert_eq!(verdict(&next), Err(R::Columns), "{balances:?}");
            assert_eq!(check_state(&params(), &next), Err(R::Columns), "{balances:?}");
        }
    }

    #[test]
    fn assets_must_stay_and_backends_with_them() {
        let make = |backend: u32, chain, holder, foreign| {
            Asset::new(BackendId::new(backend), chain, holder, foreign).unwrap()
        };
        let foreign = vec![0; 32];
        let others = [
            make(2, 1, HOLDER, foreign.clone()), // C5: only the backend differs
            make(1, 2, HOLDER, foreign.clone()),
            make(1, 1, Address::ZERO, foreign),
            make(1, 1, HOLDER, vec![]),
        ];
        for asset in others {
            let balances = current().outcome().balances().to_vec();
            let outcome = Allocation::new(vec![asset.clone()], balances, vec![]).unwrap();
            assert_eq!(verdict(&state(5, outcome)), Err(R::Assets), "{asset:?}");
        }
    }

    #[test]
    fn assets_must_stay_in_order() {
        let assets = [Asset::ckb(1), Asset::ckb(2)];
        let row = vec![Amount::new(1), Amount::new(2)];
        let make = |version, assets: [Asset; 2]| {
            let rows = vec![row.clone(), row.clone()];
            state(version, Allocation::new(assets.to_vec(), rows, vec![]).unwrap())
        };
        let [one, other] = assets;
        let current = make(0, [one.clone(), other.clone()]);
        let next = make(1, [other, one]);
        assert_eq!(check(&params(), &current, &next, Version::new(1)), Err(R::Assets));
    }

    #[test]
    fn sums_must_stay() {
        for balances in [[100, 201], [99, 200], [0, 0], [u128::MAX, 0]] {
            assert_eq!(verdict(&state(5, outcome(&balances, vec![]))), Err(R::Sum), "{balances:?}");
        }
    }

    /// Sums are kept per asset: what one row loses, another must not gain.
    #[test]
    fn sums_must_stay_in_every_row() {
        let make = |version, rows: [[u128; 2]; 2]| {
            let rows = rows.map(|row| row.map(Amount::new).to_vec()).to_vec();
            let assets = vec![Asset::ckb(1), Asset::ckb(2)];
            state(version, Allocation::new(assets, rows, vec![]).unwrap())
        };
        let current = make(0, [[5, 5], [5, 5]]);
        for rows in [[[5, 5], [5, 6]], [[4, 5], [5, 6]], [[5, 6], [4, 5]]] {
            let verdict = check(&params(), &current, &make(1, rows), Version::new(1));
            assert_eq!(verdict, Err(R::Sum), "{rows:?}");
        }
    }

    #[test]
    fn sums_count_what_is_locked() {
        let locking = state(5, outcome(&[80, 200], vec![entry(vec![])]));
        assert_eq!(check(&params(), &current(), &locking, Version::new(5)), Ok(()));
        let free = state(5, outcome(&[100, 200], vec![entry(vec![])]));
        assert_eq!(check(&params(), &current(), &free, Version::new(5)), Err(R::Sum));
    }

    /// C7: such a state is signed by all and settled by nobody.
    #[test]
    fn a_final_state_locks_nothing() {
        let locked = outcome(&[80, 200], vec![entry(vec![])]);
        let current = state(4, locked.clone());
        let next = state(5, locked).finalized();
        let version = Version::new(5);
        assert_eq!(check_ordinary(&params(), &current, &next, version), Err(R::FinalWithLocked));
        assert_eq!(check_state(&params(), &next), Err(R::FinalWithLocked));
    }

    /// C4: whoever changes the map changes who receives the locked channel's outcome.
    #[test]
    fn locked_index_maps_must_stay() {
        let maps = [vec![], vec![0, 1], vec![1, 0], vec![0, 0], vec![1]];
        for (position, map) in maps.iter().enumerate() {
            let current = state(4, outcome(&[80, 200], vec![entry(map.clone())]));
            for (other_position, other) in maps.iter().enumerate() {
                let next = state(5, outcome(&[80, 200], vec![entry(other.clone())]));
                let verdict = check_ordinary(&params(), &current, &next, Version::new(5));
                let same = position == other_position;
                let expected = if same { Ok(()) } else { Err(R::Locked) };
                assert_eq!(verdict, expected, "{map:?} to {other:?}");
            }
        }
    }

    #[test]
    fn locked_entries_must_not_appear_vanish_or_change() {
        let other_id = SubAlloc::new(ChannelId::new([0xbb; 32]), vec![Amount::new(20)], vec![]);
        let other_amount = SubAlloc::new(ChannelId::new([0xaa; 32]), vec![Amount::new(19)], vec![]);
        let unlocked = outcome(&[100, 200], vec![]);
        let locked = outcome(&[80, 200], vec![entry(vec![])]);
        let renamed = outcome(&[80, 200], vec![other_id]);
        let lowered = outcome(&[81, 200], vec![other_amount]);
        let version = Version::new(5);
        for (before, after) in [
            (unlocked.clone(), locked.clone()),
            (locked.clone(), unlocked),
            (locked.clone(), renamed),
            (locked, lowered),
        ] {
            let (current, next) = (state(4, before), state(5, after));
            let ordinary = check_ordinary(&params(), &current, &next, version);
            assert_eq!(ordinary, Err(R::Locked), "{next:?}");
            assert_eq!(check(&params(), &current, &next, version), Ok(()), "{next:?}");
        }
    }

    #[test]
    fn data_needs_an_app_or_is_a_swap() {
        let with_data = |params: &Params| {
            let version = Version::new(5);
            State::new(params.id(), version, outcome(&[100, 200], vec![]), vec![1], false).unwrap()
        };
        let refused = Err(R::Swap(SwapError::Length));
        assert_eq!(verdict(&with_data(&params())), refused);
        assert_eq!(check_state(&params(), &with_data(&params())), refused);
        let with_app = params_of(Address::new([5; 20]));
        assert_eq!(check_state(&with_app, &with_data(&with_app)), Ok(()));
    }

    /// Party 0 gives 30 when the preimage of 32 sevens is shown.
    fn swap(amount: u128) -> Swap {
        let (expiry, amount) = (1_000, Amount::new(amount));
        let leg = Leg { asset: 0, from: 0, to: 1, expiry, amount };
        Swap::new(Swap::lock_of(&[7; 32]), vec![leg]).unwrap()
    }

    fn carrying(version: u64, balances: &[u128], data: Vec<u8>) -> State {
        let outcome = outcome(balances, vec![]);
        State::new(params().id(), Version::new(version), outcome, data, false).unwrap()
    }

    fn step(current: &State, next: &State, step: &SwapStep<'_>) -> Result<(), R> {
        let version = next.version();
        check_swap_step_of(&params(), &params().id(), current, next, version, step)
    }

    #[test]
    fn a_state_carries_a_swap_that_fits_and_a_final_one_none() {
        let fits = carrying(5, &[30, 270], swap(30).to_data());
        assert_eq!(check_state(&params(), &fits), Ok(()));
        assert_eq!(check_state(&params(), &fits.finalized()), Err(R::Swap(SwapError::Final)));
        let large = carrying(5, &[29, 271], swap(30).to_data());
        assert_eq!(check_state(&params(), &large), Err(R::Swap(SwapError::Balance)));
        let twice = [swap(30).to_data(), swap(30).to_data()].concat();
        let twice = carrying(5, &[100, 200], twice);
        assert_eq!(check_state(&params(), &twice), Err(R::Swap(SwapError::Length)));
    }

    /// A payment beside a pending swap could take the money that the swap has promised, or keep the
    /// swap alive in a state that nobody meant.
    #[test]
    fn no_ordinary_update_touches_a_pending_swap() {
        let data = || swap(30).to_data();
        let pending = carrying(4, &[100, 200], data());
        for (before, after) in [
            (current(), carrying(5, &[100, 200], data())),
            (current(), carrying(5, &[90, 210], data())),
            (pending.clone(), carrying(5, &[90, 210], data())),
            (pending.clone(), carrying(5, &[100, 200], data())),
            (pending.clone(), carrying(5, &[70, 230], vec![])),
            (pending.clone(), carrying(5, &[100, 200], vec![])),
            (pending, carrying(5, &[70, 230], vec![]).finalized()),
        ] {
            let verdict = check_ordinary(&params(), &before, &after, Version::new(5));
            assert_eq!(verdict, Err(R::SwapPending), "{after:?}");
        }
    }

    #[test]
    fn a_swaps_steps_lead_to_exactly_one_state() {
        let swap = swap(30);
        let pending = carrying(5, &[100, 200], swap.to_data());
        let steps = [
            (current(), SwapStep::Start(&swap), pending.clone()),
            (pending.clone(), SwapStep::Finish, carrying(7, &[70, 230], vec![])),
            (pending, SwapStep::Cancel, carrying(7, &[100, 200], vec![])),
        ];
        for (before, one, after) in steps {
            assert_eq!(step(&before, &after, &one), Ok(()));
            let others = [
                carrying(7, &[71, 229], after.data().to_vec()),
                carrying(7, &[100, 200], self::swap(29).to_data()),
                State::new(*after.id(), Version::new(7), after.outcome().clone(), vec![], true)
                    .unwrap(),
            ];
            for other in others.iter().filter(|other| **other != after) {
                assert_eq!(step(&before, other, &one), Err(R::SwapStep), "{one:?} to {other:?}");
            }
        }
    }

    #[test]
    fn a_swaps_steps_obey_the_rules_of_every_step() {
        let (swap, start) = (swap(30), carrying(5, &[100, 200], swap(30).to_data()));
        let one = SwapStep::Start(&swap);
        assert_eq!(step(&start, &carrying(4, &[100, 200], vec![]), &one), Err(R::Version));
        let early = check_swap_step_of(
            &params(),
            &params().id(),
            &current(),
            &start,
            Version::new(6),
            &one,
        );
        assert_eq!(early, Err(R::Version));
        let richer = carrying(5, &[101, 200], swap.to_data());
        assert_eq!(step(&current(), &richer, &one), Err(R::Sum));
        let again = carrying(6, &[100, 200], swap.to_data());
        assert_eq!(step(&start, &again, &one), Err(R::Swap(SwapError::Pending)));
        let plain = carrying(6, &[100, 200], vec![]);
        assert_eq!(
            step(&current(), &plain, &SwapStep::Cancel),
            Err(R::Swap(SwapError::NotPending))
        );
        let locking = state(6, outcome(&[80, 200], vec![entry(vec![])]));
        assert_eq!(step(&start, &locking, &SwapStep::Cancel), Err(R::SwapStep));
        let app = params_of(Address::new([5; 20]));
        let other = check_swap_step_of(&app, &app.id(), &current(), &start, Version::new(5), &one);
        assert_eq!(other, Err(R::Swap(SwapError::App)));
    }

    #[test]
    fn a_known_id_gives_the_same_verdict_and_a_wrong_one_none() {
        let (params, current) = (params(), current());
        let next = state(5, outcome(&[90, 210], vec![]));
        let with = |id| check_ordinary_of(&params, &id, &current, &next, Version::new(5));
        assert_eq!(with(params.id()), Ok(()));
        assert_eq!(with(ChannelId::new([9; 32])), Err(R::ChannelId));
    }
}
