//! Channel cells and scripts that are not what they should be.

use ckb_types::prelude::{Builder, Entity};
use perun_channel::adjudicator::{CHANNEL_DATA_LENGTH, MAX_CELLS, Phase};
use perun_onchain_tests::story::{Story, own};
use perun_onchain_tests::{CKB, CellSketch, Terms, lock_named, scripts};

use crate::{concluding, later, pair, registering, spoilings, tokens};

fn with_data(change: impl FnOnce(&mut Vec<u8>)) -> Story {
    let mut story = registering(&pair());
    change(&mut story.draft.outputs[0].data);
    story
}

spoilings! {
    /// More cells than the verdict looks at; a script would run out of memory further up.
    more_cells_than_are_judged is TooManyCells {
        let mut story = registering(&pair());
        while story.draft.outputs.len() <= MAX_CELLS {
            story.draft.make(CellSketch::plain(61 * CKB, lock_named("somebody")));
        }
        story
    }

    a_type_script_with_arguments is ScriptArgs {
        let mut story = registering(&pair());
        let kind = scripts().kind.clone().as_builder().args(vec![1u8].as_slice()).build();
        story.draft.inputs[0].cell.kind = Some(kind.clone());
        story.draft.outputs[0].kind = Some(kind);
        story
    }
    a_cell_of_another_format is CellData { with_data(|data| data[0] = 1) }
    a_cell_of_another_kind is CellData { with_data(|data| data[1] = 2) }
    a_cell_in_the_phase_of_app_channels is CellData { with_data(|data| data[2] = 3) }
    a_cell_in_no_known_phase is CellData { with_data(|data| data[2] = 5) }
    a_cell_with_a_set_padding_byte is CellData { with_data(|data| data[3] = 1) }
    a_cell_with_resolved_entries is CellData { with_data(|data| data[80] = 1) }
    a_cell_with_a_list_of_virtual_channels is CellData {
        with_data(|data| data[CHANNEL_DATA_LENGTH - 1] = 1)
    }
    a_cell_that_is_one_byte_short is CellData {
        with_data(|data| data.truncate(CHANNEL_DATA_LENGTH - 1))
    }
    a_cell_with_one_byte_more is CellData { with_data(|data| data.push(0)) }
    an_empty_channel_cell is CellData { with_data(Vec::clear) }
    a_spent_cell_of_another_format is CellData {
        let mut story = registering(&pair());
        story.draft.inputs[0].cell.data[0] = 3;
        story
    }
    /// P-A6: one id lives once.
    two_cells_made_of_one_id is DuplicateChannel {
        let mut story = registering(&pair());
        let twin = story.draft.outputs[0].clone();
        story.draft.make(twin);
        story
    }
    two_cells_spent_of_one_id is DuplicateChannel {
        let mut story = registering(&pair());
        let twin = story.draft.inputs[0].cell.clone();
        story.draft.spend(twin, 0);
        story
    }
    vault_arguments_of_31_bytes is VaultArgs {
        let mut story = concluding(&tokens());
        story.draft.inputs.remove(0);
        for input in &mut story.draft.inputs {
            let args = input.cell.lock.args().raw_data();
            let cut = args.slice(..args.len() - 1);
            input.cell.lock = input.cell.lock.clone().as_builder().args(cut).build();
        }
        story.draft.acts.clear();
        story
    }
    vault_arguments_of_33_bytes is VaultArgs {
        let mut story = Story::default();
        let channel = tokens();
        let mut vault = channel.vaults(3).remove(0);
        let args: Vec<u8> = [&vault.lock.args().raw_data()[..], &[0]].concat();
        vault.lock = vault.lock.as_builder().args(args.as_slice()).build();
        story.draft.spend(vault, 0);
        story
    }
    w36_a_vault_spent_alone is VaultClosed {
        let mut story = Story::default();
        story.draft.spend(tokens().vaults(3).remove(0), 0);
        story.submitted()
    }
    /// W32: a cell that only looks like the channel's does not open its vault.
    w32_a_vault_beside_a_cell_that_copies_the_channels_data is VaultClosed {
        let channel = tokens();
        let mut story = Story::default();
        let mut copy = channel.cell(Phase::Disputed, 1, &later(&channel, 3));
        copy.kind = Some(perun_onchain_tests::token_named("anything"));
        story.draft.spend(copy, 0);
        story.draft.spend(channel.vaults(3).remove(0), 0);
        story.submitted()
    }
    a_vault_beside_an_untyped_copy_of_the_channel_cell is VaultClosed {
        let channel = tokens();
        let mut story = Story::default();
        let mut copy = channel.cell(Phase::Disputed, 1, &later(&channel, 3));
        copy.kind = None;
        story.draft.spend(copy, 0);
        story.submitted()
    }
    w36_a_vault_beside_another_channels_cell is VaultClosed {
        let other = Terms::of("mallory", 2).living("other");
        let mut story = Story::default();
        story.conclude(&other, &perun_onchain_tests::story::Stands::disputed(
            &later(&other, 1), &[own(0)]), 0);
        let mut vault = tokens().vaults(3).remove(0);
        vault.kind = None;
        story.draft.spend(vault, 0);
        story.submitted()
    }
    /// The channel cell opens its vault only under the vault's own lock.
    a_vault_beside_the_channel_under_another_lock is VaultClosed {
        let channel = tokens();
        let mut story = Story::default();
        let kinds = [perun_onchain_tests::ConsentKind::Signature; 2];
        story.agree(&channel, &crate::disputed(&channel), &kinds);
        story.draft.inputs[0].cell.lock = perun_onchain_tests::story::stranger();
        story.submitted()
    }
    a_channel_cell_continued_under_another_lock is ChannelLock {
        let mut story = registering(&pair());
        story.draft.outputs[0].lock = perun_onchain_tests::story::stranger();
        story
    }
    an_action_that_is_not_there is Witness {
        let mut story = registering(&pair());
        story.draft.acts.clear();
        story
    }
    a_cell_made_beside_an_action_for_its_input is WrongAction {
        // The successor's id is another one: the spent channel vanishes without an action for that.
        let mut story = registering(&pair());
        story.rewrite(0, |cell| cell.id = tokens().id());
        story
    }
    a_stranger_s_cell_of_our_type_appears is Witness {
        let mut story = concluding(&pair());
        let stray = pair().cell(Phase::Open, 0, &pair().initial());
        let cell = tokens().cell(Phase::Open, 0, &pair().initial());
        let stray = CellSketch { data: stray.data, ..cell };
        story.draft.outputs.insert(0, CellSketch { capacity: 222 * CKB, ..stray });
        story.rewrite(0, |cell| cell.id = tokens().id());
        story
    }
}
