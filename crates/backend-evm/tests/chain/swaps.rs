//! A swap that is pending in a registered state.

use std::sync::Arc;

use alloy_primitives::U256;
use perun_backend_evm::Error;
use perun_backend_evm::follow::Standing;
use perun_backend_evm::orders::{Decision, TokenSource};
use perun_backend_evm::rpc::Node;
use perun_channel::{Amount, State, Version};

use crate::kit::{CHALLENGE, Channel, Stage, TestChain, look_at};

pub(crate) const PREIMAGE: [u8; 32] = [7; 32];
/// SHA-256 of the preimage.
const LOCK: &str = "0x4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0";
const MOVED: u128 = 30;

/// A swap in which participant 0 owes 30 of the first asset for the preimage.
pub(crate) fn swap_data(expiry: u64) -> Vec<u8> {
    let lock: alloy_primitives::B256 = LOCK.parse().unwrap();
    let mut data = vec![1];
    data.extend_from_slice(lock.as_slice());
    data.extend_from_slice(&[0, 0, 1]);
    data.extend_from_slice(&expiry.to_be_bytes());
    data.extend_from_slice(&MOVED.to_be_bytes());
    data
}

/// A funded channel with a registered state in which participant 0 owes 30 for the preimage.
fn registered(stage: &mut Stage, expiry: u64) -> (Channel, State) {
    let channel = stage.channel(&[(stage.coin(), [100, 50])]);
    stage.fund(&channel, TokenSource::Allowance);
    let data = swap_data(expiry);
    let outcome = channel.initial.outcome().clone();
    let (id, version) = (channel.params.id(), Version::new(4));
    let state = State::new(id, version, outcome, data, false).unwrap();
    let signed = stage.signed(&channel, &state);
    stage.until_done(0, |desk| desk.register(&channel.params, &signed, &[]));
    stage.pass(CHALLENGE);
    (channel, state)
}

pub(crate) fn a_swap_is_claimed_with_its_preimage(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let expiry = stage.now() + 100 * CHALLENGE;
    let (channel, state) = registered(&mut stage, expiry);
    let refund =
        stage.order(0, |desk| desk.conclude(&channel.params, &state, &[], Decision::Refund));
    let Err(Error::Reverted(revert)) = refund else { panic!("{refund:?}") };
    assert_eq!(revert.name(), "SwapPending");
    let wrong = stage
        .order(1, |desk| desk.conclude(&channel.params, &state, &[], Decision::Preimage([8; 32])));
    assert_eq!(wrong, Err(Error::WrongPreimage(channel.params.id())));
    let wallet = stage.parties[1].wallet();
    let before = stage.coins_of(stage.deployment.hub());
    stage.until_done(0, |desk| {
        desk.conclude(&channel.params, &state, &[], Decision::Preimage(PREIMAGE))
    });
    assert_eq!(before - stage.coins_of(stage.deployment.hub()), U256::from(150));
    let Standing::Concluded(ending) = stage.standing(&channel) else { panic!("not concluded") };
    assert_eq!((ending.preimage, ending.state), (Some(PREIMAGE), Some(state)));
    assert!(stage.coins_of(wallet) > U256::ZERO);
}

pub(crate) fn a_swap_is_refunded_after_its_expiry(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let expiry = stage.now() + 2 * CHALLENGE;
    let (channel, state) = registered(&mut stage, expiry);
    stage.pass(2 * CHALLENGE);
    let wallet = stage.parties[1].wallet();
    let before = stage.coins_of(wallet);
    stage.until_done(0, |desk| desk.conclude(&channel.params, &state, &[], Decision::Refund));
    assert_eq!(stage.coins_of(wallet) - before, U256::from(50));
    let Standing::Concluded(ending) = stage.standing(&channel) else { panic!("not concluded") };
    assert_eq!((ending.preimage, ending.unpaid), (None, 0));
    assert_eq!(channel.initial.outcome().balance(0, 1), Some(Amount::new(50)));
}

/// The record is the same in both branches; only the transaction that wrote it tells them apart.
pub(crate) fn a_claim_that_is_taken_out_is_forgotten(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let node = Node(chain.as_ref());
    let expiry = stage.now() + 2 * CHALLENGE;
    let (channel, state) = registered(&mut stage, expiry);
    let mut follower = stage.follower(1, &[&channel]);
    let mut ended = |stage: &mut Stage, party: usize, decision: Decision| {
        let (params, state) = (&channel.params, &state);
        stage.order(party, |desk| desk.conclude(params, state, &[], decision)).unwrap();
        stage.chain.mine(1);
        let standing = look_at(&mut follower, node).head.standing;
        let Standing::Concluded(ending) = standing else { panic!("{standing:?}") };
        ending.preimage
    };
    assert_eq!(ended(&mut stage, 0, Decision::Preimage(PREIMAGE)), Some(PREIMAGE));
    stage.chain.rewind(1);
    stage.pass(2 * CHALLENGE);
    assert_eq!(ended(&mut stage, 1, Decision::Refund), None);
}
