//! Pending swaps: every row of `vectors/swap.json`, taken, applied, decided and refused.

use std::collections::BTreeMap;

use perun_channel::swap::{Leg, SwapStep};
use perun_channel::transition::{self, TransitionRefusal};
use perun_channel::{Allocation, Amount, Asset, Params, State, Swap};
use serde_json::Value;

use crate::read;

fn vectors() -> Value {
    read::file("swap.json")
}

fn params(row: &Value) -> Params {
    let ethereum = read::file("ethereum.json");
    read::params(read::named(&ethereum, "params", read::text(row, "params"))).unwrap()
}

/// The swap as its parts say, not as the state's data does.
fn swap(row: &Value) -> Swap {
    let swap = &row["swap"];
    let small = |leg: &Value, field: &str| u8::try_from(read::index(leg, field)).unwrap();
    let leg = |leg: &Value| Leg {
        asset: small(leg, "asset"),
        from: small(leg, "from"),
        to: small(leg, "to"),
        expiry: read::text(leg, "expiry").parse().unwrap(),
        amount: read::amount(&leg["amount"]),
    };
    let legs = read::list(swap, "legs").iter().map(leg);
    Swap::new(read::array(swap, "lock"), legs.collect()).unwrap()
}

/// A row's matrix in the place of the state's balances.
fn with_balances(state: &State, matrix: &Value) -> Allocation {
    let amounts = |row: &Value| row.as_array().unwrap().iter().map(read::amount).collect();
    let rows: Vec<Vec<Amount>> = matrix.as_array().unwrap().iter().map(amounts).collect();
    let outcome = state.outcome();
    Allocation::new(outcome.assets().to_vec(), rows, outcome.locked().to_vec()).unwrap()
}

#[test]
fn states_carry_their_swaps() {
    let all = vectors();
    for row in read::list(&all, "states") {
        let (state, swap, name) = (read::state(row).unwrap(), swap(row), &row["name"]);
        assert_eq!(state.hash(), read::array(row, "hash"), "{name}");
        assert_eq!(state.digest(), read::array(row, "digest"), "{name}");
        assert_eq!(swap.to_data(), state.data(), "{name}");
        assert_eq!(Swap::pending(&state), Ok(Some(swap.clone())), "{name}");
        assert_eq!(transition::check_state(&params(row), &state), Ok(()), "{name}");
        assert!(swap.opened_by(&read::array(&row["swap"], "preimage")), "{name}");
    }
    for row in read::list(&all, "plain") {
        let state = read::state(row).unwrap();
        assert_eq!(state.hash(), read::array(row, "hash"), "{}", row["name"]);
        assert_eq!(Swap::pending(&state), Ok(None), "{}", row["name"]);
        assert_eq!(transition::check_state(&params(row), &state), Ok(()), "{}", row["name"]);
    }
}

#[test]
fn ledgers_decide_their_own_legs() {
    for row in read::list(&vectors(), "states") {
        let (state, swap, name) = (read::state(row).unwrap(), swap(row), &row["name"]);
        let outcome = state.outcome();
        let all = swap.applied(outcome, |_| true);
        assert_eq!(all, Ok(with_balances(&state, &row["all_moved"])), "{name}");
        for ledger in read::list(row, "ledgers") {
            let chain: u64 = read::text(ledger, "chain").parse().unwrap();
            let backend = read::index(ledger, "backend");
            let on = |asset: &Asset| {
                usize::try_from(asset.backend().get()) == Ok(backend) && asset.chain() == chain
            };
            let expiry = ledger["expiry"].as_str().map(|digits| digits.parse().unwrap());
            assert_eq!(swap.expiry(outcome, on), expiry, "{name}, {ledger}");
            let claimed = with_balances(&state, &ledger["balances_if_claimed"]);
            assert_eq!(swap.applied(outcome, on), Ok(claimed), "{name}, {ledger}");
        }
    }
}

#[test]
fn steps_lead_from_state_to_state() {
    let all = vectors();
    let state = |name: &str| {
        let rows = read::list(&all, "states").iter().chain(read::list(&all, "plain"));
        let row = rows.into_iter().find(|row| row["name"] == name).unwrap();
        (read::state(row).unwrap(), row)
    };
    let mut seen = Vec::new();
    for row in read::list(&all, "steps") {
        let (before, _) = state(read::text(row, "before"));
        let (after, after_row) = state(read::text(row, "after"));
        let started = Swap::pending(&after).unwrap();
        let step = match (read::text(row, "step"), &started) {
            ("start", Some(swap)) => SwapStep::Start(swap),
            ("finish", None) => SwapStep::Finish,
            ("cancel", None) => SwapStep::Cancel,
            other => panic!("no such step: {other:?}"),
        };
        assert_eq!(step.after(&before, after.version()).as_ref(), Ok(&after), "{row}");
        let params = params(after_row);
        let (id, version) = (params.id(), after.version());
        let verdict = transition::check_swap_step_of(&params, &id, &before, &after, version, &step);
        assert_eq!(verdict, Ok(()), "{row}");
        let ordinary = transition::check_ordinary(&params, &before, &after, version);
        assert_eq!(ordinary, Err(TransitionRefusal::SwapPending), "{row}");
        seen.push(read::text(row, "step"));
    }
    assert_eq!(seen, ["start", "finish", "cancel"]);
}

#[test]
fn refusals_name_their_reason() {
    let mut seen = BTreeMap::new();
    let all = vectors();
    for row in read::list(&all, "refusals") {
        let state = read::state(row).unwrap();
        let verdict = transition::check_state(&params(row), &state);
        let Err(TransitionRefusal::Swap(reason)) = verdict else { panic!("{row}: {verdict:?}") };
        assert_eq!(format!("{reason:?}"), read::text(row, "reason"), "{}", row["name"]);
        *seen.entry(read::text(row, "reason")).or_insert(0) += 1;
    }
    let reasons = [
        "Format",
        "Length",
        "Order",
        "SamePayee",
        "Expiry",
        "NoAmount",
        "NoAsset",
        "NoParticipant",
        "Balance",
        "Final",
    ];
    for reason in reasons {
        assert!(seen.get(reason).is_some_and(|rows| *rows >= 2), "{reason}");
    }
    assert_eq!(seen.len(), reasons.len(), "{seen:?}");
}

#[test]
fn preimages_open_their_locks_alone() {
    let leg = Leg { asset: 0, from: 0, to: 1, expiry: 1, amount: Amount::new(1) };
    for row in read::list(&vectors(), "preimages") {
        let swap = Swap::new(read::array(row, "lock"), vec![leg]).unwrap();
        let opens = swap.opened_by(&read::array(row, "preimage"));
        assert_eq!(opens, read::flag(row, "opens"), "{row}");
    }
}
