//! How dues become cells.

use crate::world::{World, dev_key_lock, key, sighash_lock};
use perun_backend_ckb::money::{CKB, Made, token_in};
use perun_backend_ckb::payout::Payouts;
use perun_backend_ckb::rpc::Cell;
use perun_channel::adjudicator::{Due, TokenDue};

/// Capacities and token amounts of the cells that these dues of one lock become.
fn paid(dues: &[(u64, Option<(u128, u64)>)]) -> Vec<(u64, u128)> {
    let world = World::new();
    let token = world.token.ckb_type_hash().unwrap();
    let mut payouts = Payouts::default();
    for (capacity, due) in dues {
        let tokens =
            due.iter().map(|(amount, room)| TokenDue { token, amount: *amount, room: *room });
        let due = Due { capacity: *capacity, tokens: tokens.collect() };
        payouts.add(&dev_key_lock(), &due).unwrap();
    }
    payouts.cells(&world.deployment).unwrap().into_iter().map(shape).collect()
}

fn shape(made: Made) -> (u64, u128) {
    let capacity = made.capacity();
    let cell = Cell { out_point: Default::default(), output: made.output, data: made.data };
    (capacity, token_in(&cell).map_or(0, |(_, amount)| amount))
}

#[test]
fn coins_of_many_channels_are_one_cell() {
    assert_eq!(paid(&[(100 * CKB, None), (70 * CKB + 3, None)]), [(170 * CKB + 3, 0)]);
}

#[test]
fn a_due_below_a_cells_size_is_made_full() {
    assert_eq!(paid(&[(5, None)]), [(61 * CKB, 0)]);
    assert!(paid(&[(0, None)]).is_empty());
}

#[test]
fn a_token_cell_is_filled_from_the_reserve_and_the_rest_is_plain() {
    assert_eq!(paid(&[(1_000 * CKB, Some((9, 249 * CKB)))]), [(142 * CKB, 9), (858 * CKB, 0)]);
}

#[test]
fn a_rest_too_little_for_a_cell_stays_with_the_token() {
    assert_eq!(paid(&[(200 * CKB, Some((9, 200 * CKB)))]), [(200 * CKB, 9)]);
}

#[test]
fn coins_never_count_inside_token_cells() {
    // Only 61 CKB of the due may come with the token: the submitter fills the cell, coins come
    // plain.
    assert_eq!(paid(&[(161 * CKB, Some((9, 61 * CKB)))]), [(142 * CKB, 9), (100 * CKB, 0)]);
}

#[test]
fn w25_amounts_beyond_64_bits_are_paid_whole() {
    let amount = u128::MAX / 3;
    let cells = [(142 * CKB, amount), (858 * CKB, 0)];
    assert_eq!(paid(&[(1_000 * CKB, Some((amount, 249 * CKB)))]), cells);
}

#[test]
fn payees_are_paid_apart() {
    let world = World::new();
    let mut payouts = Payouts::default();
    for number in [1, 2] {
        let due = Due { capacity: 100 * CKB, tokens: Vec::new() };
        payouts.add(&sighash_lock(key(number).hash()), &due).unwrap();
    }
    assert_eq!(payouts.cells(&world.deployment).unwrap().len(), 2);
}
