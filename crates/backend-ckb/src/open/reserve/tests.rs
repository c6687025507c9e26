//! Nobody gives anything away, whoever settles what, and in which order.

use super::*;
use crate::deployment::{CodeCell, Token};
use crate::money::script_hash;
use crate::payout::Payouts;
use ckb_types::{bytes::Bytes, core::DepType, packed::OutPoint, prelude::*};
use perun_channel::adjudicator::{CkbParticipant, Row, Setup, StateBody, settlement_dues};
use perun_channel::{Address, Amount, Participant, State, Version};
use perun_embedded_ckb::Genesis;

fn deployment(tokens: usize) -> (Deployment, Vec<Asset>) {
    let code = |byte| CodeCell {
        out_point: OutPoint::default(),
        dep_type: DepType::Code,
        data_hash: [byte; 32],
    };
    let genesis = Genesis::dev().unwrap();
    let mut deployment = Deployment::new(genesis.block(), code(1), code(2)).unwrap();
    // One token has the flags of xUDT behind its issuer: its cells are larger.
    let script = |number: usize| {
        let args = vec![u8::try_from(number).unwrap(); if number == 1 { 36 } else { 32 }];
        Script::new_builder().args(Bytes::from(args)).build()
    };
    let mut assets = vec![deployment.coin()];
    for number in 0..tokens {
        let token = Token { script: script(number), deps: Vec::new() };
        assets.push(deployment.add_token(token).unwrap());
    }
    assets.sort();
    (deployment, assets)
}

fn lock(owner: usize, args: usize) -> Script {
    let mut bytes = vec![0; args];
    bytes[0] = u8::try_from(owner).unwrap();
    Script::new_builder().args(Bytes::from(bytes)).build()
}

/// A channel with these reserves; nothing if it would be refused.
fn channel(
    deployment: &Deployment,
    assets: &[Asset],
    payouts: &[Script],
    reserves: &[u64],
    balances: &[Vec<u64>],
) -> Option<(Setup, State)> {
    let tokens: Vec<[u8; 32]> = assets.iter().filter_map(Asset::ckb_type_hash).collect();
    let payees = payouts.iter().zip(reserves);
    let payees: Vec<_> =
        payees.map(|(payout, reserve)| Payee { payout, reserve: *reserve }).collect();
    let capacities = checked_vaults(deployment, &tokens, &payees).unwrap().ok()?;
    let mut capacities = capacities.into_iter();
    let rows = assets.iter().zip(balances).map(|(asset, balances)| Row {
        asset: asset.clone(),
        total: Amount::new(balances.iter().map(|it| u128::from(*it)).sum()),
        vault_capacity: asset.ckb_type_hash().map_or(0, |_| capacities.next().unwrap()),
    });
    let participants = payees.iter().enumerate().map(|(index, payee)| {
        let identity = CkbParticipant {
            consents_by_presence: false,
            lends_fee: false,
            payout_lock: script_hash(payee.payout),
            owner_lock: [0; 32],
            reserve: payee.reserve,
        };
        let address = Address::new([u8::try_from(index + 1).unwrap(); 20]);
        Participant::new(address, identity.to_foreign()).unwrap()
    });
    let chain = deployment.chain();
    let setup = Setup::new([1; 32], chain, 86_400, participants.collect(), rows.collect()).unwrap();
    let amounts = |row: &Vec<u64>| row.iter().map(|it| Amount::new((*it).into())).collect();
    let body = StateBody {
        version: Version::new(1),
        is_final: false,
        balances: balances.iter().map(amounts).collect(),
        locked: Vec::new(),
        data: Vec::new(),
    };
    let state = setup.state(body).unwrap();
    Some((setup, state))
}

/// Settles `before` (none: nothing was paid yet) to `after`: every payee's cells hold exactly what
/// it is due.
fn settles(
    deployment: &Deployment,
    payouts: &[Script],
    (setup, state): &(Setup, State),
    before: Option<u32>,
    after: u32,
) {
    let dues = settlement_dues(setup, state.outcome(), before, after).unwrap();
    for (payout, due) in payouts.iter().zip(dues) {
        let mut account = Payouts::default();
        account.add(payout, &due).unwrap();
        let made = sum(account.cells(deployment).unwrap().iter().map(|cell| cell.capacity()));
        assert_eq!(made.unwrap(), due.capacity, "{before:?} to {after:b}: {due:?}");
    }
}

/// Every first settlement, and every withdrawal after it.
fn all_ways(deployment: &Deployment, payouts: &[Script], channel: &(Setup, State)) {
    let mask = channel.0.token_mask();
    for left in (0..=mask).filter(|left| left & !mask == 0) {
        settles(deployment, payouts, channel, None, left);
        for rest in (0..left).filter(|rest| rest & !left == 0) {
            settles(deployment, payouts, channel, Some(left), rest);
        }
    }
}

/// Balances of each asset: as usual, a shannon or a unit, and nothing at all.
fn shares(assets: usize, parties: usize) -> Vec<Vec<Vec<u64>>> {
    let some = |amount: u64| {
        let row = |row: usize| {
            (0..parties).map(|party| if party == row % parties { 1 } else { amount }).collect()
        };
        (0..assets).map(row).collect()
    };
    vec![some(100 * CKB), some(0), some(1), vec![vec![0; parties]; assets]]
}

const ARGS: [usize; 5] = [20, 22, 28, 65, 300];

#[test]
fn default_reserves_pay_for_every_way_out() {
    for (tokens, parties) in [(0, 2), (1, 2), (2, 2), (3, 2), (1, 3), (2, 3), (1, 16), (3, 5)] {
        let (deployment, assets) = deployment(tokens);
        for wide in ARGS {
            let args = |party| if party == 0 { wide } else { 20 };
            let payouts: Vec<Script> = (0..parties).map(|it| lock(it, args(it))).collect();
            let reserves = default_reserves(&deployment, &assets, &payouts).unwrap();
            for balances in shares(assets.len(), parties) {
                let made = channel(&deployment, &assets, &payouts, &reserves, &balances);
                all_ways(&deployment, &payouts, &made.expect("default reserves are refused"));
            }
        }
    }
}

/// Whoever contributes first does not know the other's payout lock.
#[test]
fn reserves_that_each_names_for_its_own_lock_go_together() {
    for tokens in 1..=3 {
        let (deployment, assets) = deployment(tokens);
        for wide in [20, 22, 28, 65] {
            let payouts = [lock(0, 20), lock(1, wide)];
            let own = |payout: &Script| {
                let twice = [payout.clone(), payout.clone()];
                default_reserves(&deployment, &assets, &twice).unwrap()[0]
            };
            let reserves: Vec<u64> = payouts.iter().map(own).collect();
            for balances in shares(assets.len(), 2) {
                let made = channel(&deployment, &assets, &payouts, &reserves, &balances);
                all_ways(&deployment, &payouts, &made.expect("usual locks do not go together"));
            }
        }
    }
}

/// Reserves that differ from the default: refused, or enough.
#[test]
fn whatever_is_not_refused_costs_nobody_anything() {
    let (mut refused, mut taken) = (0, 0);
    for tokens in 1..=3 {
        let (deployment, assets) = deployment(tokens);
        for wide in ARGS {
            let payouts = [lock(0, wide), lock(1, 20)];
            let usual = default_reserves(&deployment, &assets, &payouts).unwrap();
            for change in [-200, -90, -31, -1, 1, 50, 5_000_i64] {
                let mut reserves = usual.clone();
                let changed = reserves[0].saturating_add_signed(change * 100_000_000);
                reserves[0] = changed.max(MIN_RESERVE);
                let balances = &shares(assets.len(), 2)[1];
                match channel(&deployment, &assets, &payouts, &reserves, balances) {
                    Some(made) => {
                        taken += 1;
                        all_ways(&deployment, &payouts, &made);
                    }
                    None => refused += 1,
                }
            }
        }
    }
    assert!(refused > 20 && taken > 20, "{refused} refused, {taken} taken");
}

#[test]
fn the_payee_with_too_little_is_named() {
    for tokens in 1..=3 {
        let (deployment, assets) = deployment(tokens);
        let names: Vec<[u8; 32]> = assets.iter().filter_map(Asset::ckb_type_hash).collect();
        for short in [0, 1] {
            let payouts = [lock(0, 20), lock(1, 20)];
            let mut reserves = default_reserves(&deployment, &assets, &payouts).unwrap();
            reserves[short] = MIN_RESERVE + 1;
            let payees: Vec<_> = payouts
                .iter()
                .zip(&reserves)
                .map(|(payout, reserve)| Payee { payout, reserve: *reserve })
                .collect();
            assert_eq!(checked_vaults(&deployment, &names, &payees), Ok(Err(short)));
        }
    }
}
