//! One list of rules, run on every implementation of a CKB node.
//!
//! The embedded chain in the process, the same over HTTP and, with the feature `real-node-tests`,
//! the real node: whatever holds on one must hold on all. Each rule has a chain of its own.

#[path = "../common/mod.rs"]
mod common;
mod index_rules;
mod rules;
mod time_rules;

use perun_backend_ckb::rpc::{DevControl, Rpc};
use perun_embedded_ckb::Genesis;

/// What a rule runs on.
trait Node: Rpc + DevControl {}
impl<T: Rpc + DevControl> Node for T {}

/// A rule gets a fresh chain and what is on its first block.
type Rule = fn(&dyn Node, &Genesis);

macro_rules! conformance {
    ($($place:ident :: $rule:ident),* $(,)?) => {
        mod embedded {
            $(#[test]
            fn $rule() {
                let genesis = super::common::genesis();
                let rule: super::Rule = super::$place::$rule;
                rule(&perun_embedded_ckb::Chain::new(&genesis), &genesis);
            })*
        }

        mod over_http {
            $(#[test]
            fn $rule() {
                let genesis = super::common::genesis();
                let chain = perun_embedded_ckb::Chain::new(&genesis);
                let server = perun_embedded_ckb::serve(chain, "127.0.0.1:0").expect("a free port");
                let client = perun_backend_ckb::rpc::HttpRpc::new(server.url()).expect("a URL");
                let rule: super::Rule = super::$place::$rule;
                rule(&client, &genesis);
            })*
        }

        #[cfg(feature = "real-node-tests")]
        mod real_node {
            $(#[test]
            fn $rule() {
                let genesis = super::common::genesis();
                let node = perun_embedded_ckb::real_node::RealNode::start(&genesis)
                    .unwrap_or_else(|error| panic!("{error}"));
                let rule: super::Rule = super::$place::$rule;
                rule(node.rpc(), &genesis);
            })*
        }
    };
}

conformance! {
    rules::the_first_block_is_the_specs,
    rules::a_payment_is_committed_by_the_third_block,
    rules::a_wrong_signature_is_the_locks_refusal,
    rules::tokens_cannot_be_made_from_nothing,
    rules::a_spent_cell_is_unknown_once_committed,
    rules::a_cell_is_spent_once_in_a_transaction,
    rules::a_replacement_pays_for_what_it_removes,
    rules::a_fee_below_the_minimum_is_refused,
    rules::capacities_must_add_up,
    rules::the_same_transaction_is_sent_once,
    rules::a_pending_cell_can_be_spent,
    rules::a_malformed_transaction_is_refused,
    rules::cycles_are_known_before_sending,
    rules::a_removed_transaction_is_forgotten_and_can_return,
    time_rules::a_relative_time_lock_opens_by_the_median,
    time_rules::an_absolute_time_lock_opens_by_the_median,
    time_rules::a_block_lock_opens_at_its_height,
    time_rules::a_pending_cell_has_no_age,
    time_rules::the_clock_can_go_back,
    time_rules::a_header_dependency_is_on_the_best_chain,
    index_rules::cells_come_in_pages_oldest_first,
    index_rules::cells_are_found_by_their_type,
    index_rules::a_cell_is_found_by_all_that_is_known_of_it,
    index_rules::every_touch_of_a_lock_is_listed,
    index_rules::the_index_follows_a_reorganisation,
    index_rules::the_pool_can_be_read,
    index_rules::blocks_are_the_same_by_number_and_by_hash,
    index_rules::a_page_has_a_size,
}
