//! Stories on a chain that runs the real contracts: the embedded one, and with the feature
//! `anvil-tests` a real Anvil as well (`PERUN_ANVIL_BIN` names its program).

mod kit;

mod callees;
mod deposits;
mod faults;
mod http;
mod lives;
mod reorganisations;
mod sending;
mod swaps;

/// One story for each kind of chain.
macro_rules! stories {
    ($($room:ident: $($story:ident)*;)*) => {
        mod embedded {
            $(mod $room { $(
                #[test]
                fn $story() {
                    crate::$room::$story(crate::kit::embedded());
                }
            )* })*
        }

        #[cfg(feature = "anvil-tests")]
        mod anvil {
            $(mod $room { $(
                #[test]
                fn $story() {
                    crate::$room::$story(crate::kit::anvil());
                }
            )* })*
        }
    };
}

stories! {
    lives:
        a_life_with_coins
        a_life_with_tokens
        an_old_state_is_refuted
        an_underfunded_channel_gives_everything_back
        a_channel_without_a_bound_payee_pays_by_the_session_key
        a_channel_ends_by_consent
        a_tree_of_channels_is_registered_and_concluded
        a_forced_step_is_read_with_its_proof
        a_refused_payment_waits_as_credit
        orders_that_come_too_early_or_too_late_are_refused;
    deposits:
        an_allowance_is_exactly_what_is_deposited
        a_rest_of_an_allowance_is_taken_back_first
        tokens_move_by_signature
        the_name_of_a_token_tells_of_its_deposit
        a_token_that_only_seems_to_take_signatures_gets_an_allowance
        channels_take_turns_with_an_allowance
        too_few_coins_tokens_or_allowance_are_seen_before_sending
        lying_tokens_get_no_deposit
        a_token_without_a_name_gets_no_deposit
        a_deposit_is_topped_up_to_the_share
        a_restart_does_not_deposit_twice;
    sending:
        many_transactions_are_in_flight_at_once
        a_refused_transaction_gives_its_nonce_back
        a_lost_answer_does_not_send_twice
        what_is_promised_is_not_spent_twice
        an_order_is_tried_before_it_is_sent
        a_stuck_transaction_is_raised_and_replaced
        the_limit_of_the_fee_is_kept
        a_dropped_transaction_is_sent_again
        a_gap_is_filled
        another_use_of_the_key_is_noticed
        a_restart_leaves_nothing_in_the_way
        a_failed_transaction_says_why;
    reorganisations:
        a_deposit_is_taken_out_and_made_again
        a_registration_is_taken_out_and_made_again
        what_is_settled_is_as_deep_as_its_value_asks
        an_ending_is_taken_out;
    faults:
        another_chain_is_refused
        other_code_is_refused
        a_node_that_goes_backwards_is_not_believed
        a_node_that_omits_a_log_is_not_believed
        a_node_that_shows_another_chains_logs_is_not_believed
        a_node_that_forges_a_state_is_not_believed
        a_node_that_takes_back_what_is_final_is_not_believed
        a_node_that_does_not_answer_reports_nothing
        a_limit_on_logs_is_halved_until_it_fits
        a_cursor_remembers_how_far_was_seen;
    swaps:
        a_swap_is_claimed_with_its_preimage
        a_swap_is_refunded_after_its_expiry
        a_claim_that_is_taken_out_is_forgotten;
    callees:
        a_payee_that_burns_gas_in_a_block_stops_no_conclusion
        a_payee_that_burns_gas_in_a_block_stops_no_claim
        tokens_that_burn_gas_in_a_block_stop_no_conclusion
        a_token_that_does_not_move_keeps_no_coins_from_us
        what_fails_in_blocks_is_tried_ever_more_rarely
        a_token_that_wastes_gas_is_not_asked
        a_deposit_that_fails_in_blocks_is_given_up
        a_channel_that_holds_too_much_hides_no_other;
}
