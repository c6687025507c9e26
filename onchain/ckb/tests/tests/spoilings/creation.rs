//! Creating a channel: its terms, its id, its first state and everything it must hold.

use perun_channel::adjudicator::{Action, Phase};
use perun_channel::codec::Encode;
use perun_channel::{Address, Amount, Asset, BackendId, ChannelId, SubAlloc, Version};
use perun_onchain_tests::spoil::{LooseSetup, body_of, scratch};
use perun_onchain_tests::story::{FEE, Story};
use perun_onchain_tests::{At, CKB, CellSketch, Channel, Sketch, Terms};

use crate::spoilings;

const MADE: At = At::Made(0);

fn creating(terms: &Terms) -> (Story, Channel) {
    let mut story = Story::default();
    let channel = story.create(terms, None);
    (story.submitted(), channel)
}

fn plain() -> (Story, Channel) {
    creating(&Terms::of("alice", 2))
}

fn tokened() -> (Story, Channel) {
    creating(&Terms::of("alice", 2).with_tokens(&["a", "b"]))
}

/// A healthy creation whose setup was changed to bytes that need not be sound.
fn loosely(terms: &Terms, change: impl FnOnce(&mut LooseSetup)) -> Story {
    let (mut story, channel) = creating(terms);
    let mut setup = LooseSetup::of(&channel);
    change(&mut setup);
    setup.put(&mut story, MADE);
    story
}

fn loose(change: impl FnOnce(&mut LooseSetup)) -> Story {
    loosely(&Terms::of("alice", 2), change)
}

fn tokens_loose(change: impl FnOnce(&mut LooseSetup)) -> Story {
    loosely(&Terms::of("alice", 2).with_tokens(&["a", "b"]), change)
}

fn foreign_row(asset: &Asset, total: u128) -> Vec<u8> {
    let mut row = vec![2];
    asset.encode(&mut row);
    Amount::new(total).encode(&mut row);
    row
}

/// A creation whose first state was changed after the cell was made for it, cell included.
fn with_state(change: impl FnOnce(&mut Action)) -> Story {
    let (mut story, _) = plain();
    story.change(MADE, change);
    story
}

spoilings! {
    an_id_of_another_first_input is ChannelId {
        let (mut story, _) = plain();
        story.draft.inputs[0].from[0] ^= 1;
        story
    }
    an_id_of_the_same_cell_spent_with_another_since is ChannelId {
        let (mut story, _) = plain();
        story.draft.inputs[0].since = 1;
        story
    }
    an_id_of_another_output is ChannelId {
        let (mut story, _) = plain();
        story.draft.outputs.swap(0, 1);
        story.draft.acts[0].at = At::Made(1);
        story
    }
    /// W18: the same channel cannot be started again, by whatever transaction.
    w18_a_second_instance_of_a_channel is ChannelId {
        let channel = Terms::of("alice", 2).living("first instance");
        let (mut story, made) = plain();
        story.draft.outputs[0] = channel.cell(Phase::Open, 0, &channel.initial());
        let (setup, body) = (channel.setup.clone(), Channel::body(&channel.initial()));
        story.change(MADE, |action| *action = Action::Create { setup, body });
        assert_ne!(made.id(), channel.id());
        story
    }
    a_witness_of_another_channel is ChannelId {
        let (mut story, _) = plain();
        story.rewrite(0, |cell| cell.id = ChannelId::new([9; 32]));
        story
    }
    one_participant is Participants { loose(|setup| setup.participants.truncate(1)) }
    seventeen_participants is Witness {
        loose(|setup| setup.participants = vec![setup.participants[0].clone(); 17])
    }
    one_address_twice is Participants {
        loose(|setup| setup.participants[1].0 = setup.participants[0].0)
    }
    an_identity_of_another_format is ForeignIdentity {
        loose(|setup| setup.participants[0].1[0] = 2)
    }
    an_identity_that_signs_otherwise is ForeignIdentity {
        loose(|setup| setup.participants[0].1[1] = 1)
    }
    w31_an_identity_with_an_unknown_flag is ForeignIdentity {
        loose(|setup| setup.participants[1].1[2] = 4)
    }
    an_identity_that_is_short is ForeignIdentity {
        loose(|setup| setup.participants[1].1.truncate(74))
    }
    an_identity_that_is_long is ForeignIdentity {
        loose(|setup| setup.participants[1].1.push(0))
    }
    an_identity_of_32_zero_bytes is ForeignIdentity {
        loose(|setup| setup.participants[1].1 = vec![0; 32])
    }
    /// W9: durations are seconds, and not too few of them.
    w09_a_challenge_of_milliseconds_as_seconds is Challenge {
        loose(|setup| setup.challenge_secs = 1_799)
    }
    /// W17: a huge duration cannot freeze a channel.
    w17_a_challenge_of_more_than_a_year is Challenge {
        loose(|setup| setup.challenge_secs = 31_536_001)
    }
    w17_a_challenge_of_all_bits is Challenge { loose(|setup| setup.challenge_secs = u64::MAX) }
    a_reserve_of_less_than_a_plain_cell is Reserve {
        loose(|setup| setup.identity(0, |identity| identity.reserve = 61 * CKB - 1))
    }
    reserves_that_do_not_carry_the_channel_cell is Rent {
        loose(|setup| {
            setup.identity(0, |identity| identity.reserve = 111 * CKB);
            setup.identity(1, |identity| identity.reserve = 111 * CKB - 1);
        })
    }
    /// B6: with tokens, the capacity of a plain cell per payee is kept out of the rent.
    reserves_that_carry_the_vaults_but_leave_a_payee_nothing is Rent {
        tokens_loose(|setup| {
            let rent = (222 + 2 * 154 + 2 * 61) * CKB;
            setup.identity(0, |identity| identity.reserve = rent - 61 * CKB - 1);
            setup.identity(1, |identity| identity.reserve = 61 * CKB);
        })
    }
    /// W17: sums are checked, not wrapped.
    w17_reserves_that_overflow is Overflow {
        loose(|setup| {
            setup.identity(0, |identity| identity.reserve = u64::MAX);
            setup.identity(1, |identity| identity.reserve = u64::MAX);
        })
    }
    w17_vault_capacities_that_overflow is Overflow {
        tokens_loose(|setup| {
            for row in &mut setup.rows[1..] {
                row[33..41].copy_from_slice(&u64::MAX.to_le_bytes());
            }
        })
    }
    a_vault_capacity_that_overflows_with_the_channel_cell is Overflow {
        tokens_loose(|setup| {
            setup.rows.truncate(2);
            setup.rows[1][33..41].copy_from_slice(&u64::MAX.to_le_bytes());
        })
    }
    /// Checklist: allocations without assets.
    no_assets is Rows { loose(|setup| setup.rows.clear()) }
    seventeen_assets is Witness {
        loose(|setup| setup.rows = vec![setup.rows[0].clone(); 17])
    }
    /// W21: rows are in one order and listed once.
    w21_the_coin_twice is Rows { loose(|setup| setup.rows.push(setup.rows[0].clone())) }
    w21_a_token_twice is Rows { tokens_loose(|setup| setup.rows[2] = setup.rows[1].clone()) }
    w21_rows_out_of_order is Rows { tokens_loose(|setup| setup.rows.swap(1, 2)) }
    w21_a_foreign_row_behind_the_coin is Rows {
        loose(|setup| {
            let asset = Asset::ethereum(1, Address::new([7; 20]));
            setup.rows.push(foreign_row(&asset, 5));
        })
    }
    a_token_without_a_vault is Rows {
        tokens_loose(|setup| setup.rows[1][33..41].copy_from_slice(&[0; 8]))
    }
    /// A second spelling of the coin, as a foreign asset.
    the_coin_spelt_as_a_foreign_asset is Witness {
        let total = u128::from(2_000 * CKB);
        loose(|setup| setup.rows[0] = foreign_row(&Asset::ckb(setup.chain), total))
    }
    /// A row of another CKB chain would be neither paid here nor told apart.
    a_coin_of_another_chain_as_a_foreign_asset is Witness {
        loose(|setup| setup.rows[0] = foreign_row(&Asset::ckb(setup.chain + 1), 5))
    }
    a_ckb_asset_of_no_kind is Witness {
        loose(|setup| {
            let asset = Asset::new(BackendId::CKB, setup.chain, Address::ZERO, vec![9]).unwrap();
            setup.rows[0] = foreign_row(&asset, 5);
        })
    }
    a_row_of_no_kind is Witness { loose(|setup| setup.rows[0][0] = 3) }
    /// Inflated balances.
    first_balances_above_the_totals is StateTotals {
        with_state(|action| body_of(action).balances[0][0] = Amount::new(u128::from(1_001 * CKB)))
    }
    first_balances_below_the_totals is StateTotals {
        with_state(|action| body_of(action).balances[0][0] = Amount::ZERO)
    }
    /// W17: the sum of a row leaves 128 bits.
    w17_first_balances_that_overflow is StateShape {
        with_state(|action| {
            body_of(action).balances[0] = vec![Amount::new(u128::MAX), Amount::new(u128::MAX)];
        })
    }
    first_state_with_app_data is Swap {
        with_state(|action| body_of(action).data = vec![1])
    }
    first_state_with_a_locked_entry_of_wrong_shape is StateShape {
        with_state(|action| {
            let entry = SubAlloc::new(ChannelId::new([1; 32]), vec![Amount::ZERO], vec![7]);
            body_of(action).locked = vec![entry];
        })
    }
    w05_first_state_with_a_locked_entry is LockedUnsupported {
        with_state(|action| {
            let entry = SubAlloc::new(ChannelId::new([1; 32]), vec![Amount::ZERO], vec![]);
            body_of(action).locked = vec![entry];
        })
    }
    a_first_version_of_one is InitialState {
        with_state(|action| body_of(action).version = Version::new(1))
    }
    a_final_first_state is InitialState {
        with_state(|action| body_of(action).is_final = true)
    }
    a_cell_for_another_first_state is ChannelFrame {
        // Same totals, other shares: the depositors signed the cell, not the witness.
        with_state(|action| {
            let row = &mut body_of(action).balances[0];
            (row[0], row[1]) = (Amount::new(row[0].get() + 1), Amount::new(row[1].get() - 1));
        })
    }
    a_first_cell_with_another_version is ChannelFrame {
        let (mut story, _) = plain();
        story.rewrite(0, |cell| cell.version = Version::new(1));
        story
    }
    a_first_cell_with_marks is ChannelFrame {
        let (mut story, _) = plain();
        story.rewrite(0, |cell| cell.marks = 1);
        story
    }
    a_channel_that_starts_in_a_dispute is WrongAction {
        let (mut story, _) = plain();
        story.rewrite(0, |cell| cell.phase = Phase::Disputed);
        story
    }
    a_channel_that_starts_concluded is WrongAction {
        let (mut story, _) = plain();
        story.rewrite(0, |cell| cell.phase = Phase::Concluded);
        story
    }
    an_action_other_than_creation is WrongAction {
        let (mut story, channel) = plain();
        let (setup, body) = (channel.setup.clone(), Channel::body(&channel.initial()));
        story.change(MADE, |action| *action = Action::Conclude { setup, body, decision: None });
        story
    }
    a_first_cell_under_a_strangers_lock is ChannelLock {
        let (mut story, _) = plain();
        story.draft.outputs[0].lock = perun_onchain_tests::story::stranger();
        story
    }
    a_first_cell_under_another_channels_lock is ChannelLock {
        let (mut story, _) = plain();
        story.draft.outputs[0].lock = Terms::of("bob", 2).living("other").lock();
        story
    }
    a_shannon_too_little is ChannelCapacity {
        let (mut story, _) = plain();
        story.draft.outputs[0].capacity -= 1;
        story
    }
    a_shannon_too_much is ChannelCapacity {
        let (mut story, _) = plain();
        story.draft.outputs[0].capacity += 1;
        story
    }
    /// W12, W13: every token must really be there, whatever the coins are.
    w13_a_token_that_was_never_deposited is VaultOutputs {
        let (mut story, _) = tokened();
        story.draft.outputs.remove(2);
        story
    }
    w12_the_second_token_short_by_the_number_of_parties is VaultOutputs {
        let (mut story, channel) = tokened();
        let amount = channel.opening.iter().sum::<u128>() - 2;
        story.draft.outputs[2].data = amount.to_le_bytes().to_vec();
        story
    }
    w13_tokens_without_coins is VaultOutputs {
        let terms = Terms { coin: false, ..Terms::of("alice", 2) }.with_tokens(&["a"]);
        let (mut story, _) = creating(&terms);
        story.draft.outputs[1].data = 0u128.to_le_bytes().to_vec();
        story
    }
    a_vault_with_more_data is VaultOutputs {
        let (mut story, _) = tokened();
        story.draft.outputs[1].data.push(0);
        story
    }
    a_vault_with_less_data is VaultOutputs {
        let (mut story, _) = tokened();
        story.draft.outputs[1].data.pop();
        story
    }
    a_vault_with_a_shannon_less is VaultOutputs {
        let (mut story, _) = tokened();
        story.draft.outputs[1].capacity -= 1;
        story
    }
    a_vault_under_a_strangers_lock is VaultOutputs {
        let (mut story, _) = tokened();
        story.draft.outputs[1].lock = perun_onchain_tests::story::stranger();
        story
    }
    a_vault_of_another_token is VaultOutputs {
        let (mut story, _) = tokened();
        story.draft.outputs[1].kind = Some(perun_onchain_tests::token_named("z"));
        story
    }
    two_vaults_of_one_token is VaultOutputs {
        let (mut story, _) = tokened();
        let twin = story.draft.outputs[1].clone();
        story.draft.make(twin);
        story
    }
    a_plain_cell_under_the_vault_lock is VaultOutputs {
        let (mut story, channel) = plain();
        story.draft.make(CellSketch::plain(100 * CKB, channel.lock()));
        story
    }
    a_creation_with_one_byte_more is Witness {
        let (mut story, _) = plain();
        story.scratch(MADE, |bytes| bytes.push(0));
        story
    }
    a_creation_with_one_byte_less is Witness {
        let (mut story, _) = plain();
        story.scratch(MADE, |bytes| bytes.truncate(bytes.len() - 1));
        story
    }
    a_creation_in_the_witness_field_of_the_input is Witness {
        let (mut story, _) = plain();
        story.draft.acts[0].at = At::Spent(0);
        story
    }
    a_creation_whose_finality_is_neither_yes_nor_no is Witness {
        let mut sketch: Sketch = plain().0.into();
        scratch(&mut sketch, MADE, |bytes| {
            // The flag stands behind setup and version; two amounts, no entries, no data follow.
            let flag = bytes.len() - 2 * 16 - 1 - 2 - 1;
            bytes[flag] = 2;
        });
        sketch
    }
    an_unknown_action is Witness {
        let (mut story, _) = plain();
        story.scratch(MADE, |bytes| bytes[0] = 8);
        story
    }
}

#[test]
fn a_creation_needs_no_exact_fee() {
    let (mut story, _) = plain();
    assert_eq!(story.draft.fee(), i128::from(FEE));
    assert_eq!(story.trial().verdict, Ok(()));
}
