//! Code of others that costs more, or answers otherwise, in a block than when it was tried.
//!
//! A node that runs a call without a price shows contracts a price of nothing, so any of them can
//! tell a try from a block.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256, bytes};
use alloy_sol_types::SolCall;
use perun_backend_evm::Error;
use perun_backend_evm::abi::{convert, eth, solidity as sol, typed, word};
use perun_backend_evm::account::{Account, KeyAccount};
use perun_backend_evm::follow::Standing;
use perun_backend_evm::orders::{Decision, TokenSource};
use perun_backend_evm::rpc::{At, Node};
use perun_backend_evm::sender::Progress;
use perun_backend_evm::sender::book::{Key, Task};
use perun_channel::{SignedState, State, Version};

use crate::kit::{CHALLENGE, Channel, ETHER, Stage, TestChain, TestToken, deploy, key, paid, sign};
use crate::swaps::{PREIMAGE, swap_data};

const BOTH: [u128; 2] = [ETHER as u128, 2 * ETHER as u128];
/// More than the fees of all that one side does here.
const FEES: u64 = ETHER / 100;

/// Takes coins when it is tried, and in a block burns all the gas that it gets: `GASPRICE`,
/// `ISZERO`, jump to `STOP`, else `INVALID`.
fn glutton(chain: &dyn TestChain) -> Address {
    deploy(chain, bytes!("6008600c60003960086000f33a15600657fe5b00"))
}

/// One side binds a contract as what its channel pays to.
fn bind(stage: &mut Stage, channel: &Channel, index: usize, payee: Address) {
    let id = word(&channel.params.id());
    let participant = eth(channel.params.participants()[index].address());
    let hub = stage.deployment.hub();
    let domain = typed::hub_domain(stage.deployment.chain(), hub);
    let deadline = U256::MAX;
    let message = sol::PayeeBinding { channelID: id, participant, payee, deadline };
    let digest = typed::payee_binding(&domain, &message);
    let sig = sign(&digest.0, &stage.parties[index].session).as_bytes().to_vec().into();
    let binding = sol::Binding { participant, payee, deadline, sig };
    let input = sol::Hub::bindPayeeCall { id, binding }.abi_encode().into();
    let chain = stage.chain.clone();
    let task = Task { to: hub, value: U256::ZERO, input };
    let label = Key::of_account("a binding", payee);
    stage.parties[index].orders.sender().send(Node(chain.as_ref()), label, task).unwrap();
    stage.block();
}

/// A funded channel in which participant 0, who is paid first, is paid to a contract that burns
/// gas.
fn with_a_glutton(stage: &mut Stage) -> Channel {
    let channel = stage.channel(&[(stage.coin(), BOTH)]);
    let payee = glutton(stage.chain.as_ref());
    bind(stage, &channel, 0, payee);
    for index in 0..2 {
        let order = perun_backend_evm::orders::DepositOrder {
            params: &channel.params,
            initial: &channel.initial,
            index,
            source: TokenSource::Allowance,
            bind: None,
        };
        stage.until_done(index, |desk| desk.deposit(&order));
    }
    let session = stage.parties[1].session;
    let signer = move |digest: &[u8; 32]| sign(digest, &session);
    stage.until_done(1, |desk| desk.bind_payee(&channel.params, 1, &signer));
    assert_eq!(stage.standing(&channel), Standing::Open);
    channel
}

fn registered(stage: &mut Stage, channel: &Channel, state: &State) -> SignedState {
    let signed = stage.signed(channel, state);
    stage.until_done(1, |desk| desk.register(&channel.params, &signed, &[]));
    stage.pass(CHALLENGE);
    signed
}

/// Participant 1 concludes at its first try, and gets at least this much.
fn concludes(stage: &mut Stage, channel: &Channel, state: &State, decision: Decision, due: u128) {
    let wallet = stage.parties[1].wallet();
    let before = stage.coins_of(wallet);
    let tries = stage.until_done(1, |desk| desk.conclude(&channel.params, state, &[], decision));
    assert_eq!(tries, 1, "the first transaction does it");
    assert!(stage.coins_of(wallet) + U256::from(FEES) > before + U256::from(due));
}

pub(crate) fn a_payee_that_burns_gas_in_a_block_stops_no_conclusion(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = with_a_glutton(&mut stage);
    let state = paid(&channel, 1, 7);
    registered(&mut stage, &channel, &state);
    concludes(&mut stage, &channel, &state, Decision::Refund, BOTH[1] + 7);
}

/// Else the payee would only have to wait until the swap expires here, and take the other ledger's
/// leg with the secret that the claims have shown.
pub(crate) fn a_payee_that_burns_gas_in_a_block_stops_no_claim(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = with_a_glutton(&mut stage);
    let expiry = stage.now() + 100 * CHALLENGE;
    let outcome = channel.initial.outcome().clone();
    let (id, version) = (channel.params.id(), Version::new(4));
    let state = State::new(id, version, outcome, swap_data(expiry), false).unwrap();
    registered(&mut stage, &channel, &state);
    concludes(&mut stage, &channel, &state, Decision::Preimage(PREIMAGE), BOTH[1] + 30);
}

pub(crate) fn tokens_that_burn_gas_in_a_block_stop_no_conclusion(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let tokens = [0; 3].map(|_| stage.token("LyingToken", 100));
    let mut rows = vec![(stage.coin(), BOTH)];
    rows.extend(tokens.iter().map(|(_, asset)| (asset.clone(), [100, 100])));
    let channel = stage.channel(&rows);
    stage.fund(&channel, TokenSource::Allowance);
    for (token, _) in &tokens {
        stage.act(*token, &TestToken::setLieCall { kind: U256::from(6) });
    }
    let state = paid(&channel, 1, 7);
    registered(&mut stage, &channel, &state);
    concludes(&mut stage, &channel, &state, Decision::Refund, BOTH[1] + 7);
}

/// The peer concludes without paying anybody, and a token does not move.
pub(crate) fn a_token_that_does_not_move_keeps_no_coins_from_us(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("LyingToken", 1_000);
    for kind in [4, 5, 6] {
        stage.act(token, &TestToken::setLieCall { kind: U256::ZERO });
        let rows = [(asset.clone(), [20, 20]), (stage.coin(), BOTH)];
        let channel = stage.channel(&rows);
        stage.fund(&channel, TokenSource::Allowance);
        let last = stage.signed(&channel, &paid(&channel, 1, 7).finalized());
        stage.until_done(0, |desk| desk.close_unpaid(&channel.params, &last));
        stage.act(token, &TestToken::setLieCall { kind: U256::from(kind) });
        let (session, wallet) = (stage.parties[1].session, stage.parties[1].wallet());
        let signer = move |digest: &[u8; 32]| sign(digest, &session);
        let before = stage.coins_of(wallet);
        for _ in 0..3 {
            let (params, state) = (&channel.params, last.state());
            let _ = stage.order(1, |desk| desk.withdraw(params, state, 1, 3, wallet, &signer));
            stage.block();
        }
        let after = stage.coins_of(wallet) + U256::from(FEES);
        assert!(after > before + U256::from(BOTH[1]), "{kind}");
    }
}

/// A hundred looks at a token that takes a try for a try cost a handful of fees.
pub(crate) fn what_fails_in_blocks_is_tried_ever_more_rarely(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("LyingToken", 100);
    let channel = stage.channel(&[(asset.clone(), [0, 100])]);
    stage.fund(&channel, TokenSource::Allowance);
    stage.act(token, &TestToken::setLieCall { kind: U256::from(5) });
    let last = stage.signed(
        &channel,
        &channel.initial.at_version(Version::new(1), channel.initial.outcome().clone()).finalized(),
    );
    stage.until_done(0, |desk| desk.close(&channel.params, &last));
    let (wallet, holder) = (stage.parties[1].wallet(), eth(asset.holder()));
    let sent = |stage: &Stage| stage.node().nonce(wallet, At::Latest).unwrap();
    let before = sent(&stage);
    for _ in 0..100 {
        stage.order(1, |desk| desk.withdraw_credit(holder, wallet)).unwrap();
        stage.block();
    }
    assert_eq!(sent(&stage) - before, 6, "2 + 4 + 8 + 16 + 32 blocks between them");
    stage.act(token, &TestToken::setLieCall { kind: U256::ZERO });
    while stage.order(1, |desk| desk.withdraw_credit(holder, wallet)) != Ok(Progress::Done) {
        stage.block();
    }
    assert_eq!(stage.balance_of(token, wallet), 100);
}

pub(crate) fn a_token_that_wastes_gas_is_not_asked(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("LyingToken", 100);
    stage.act(token, &TestToken::setLieCall { kind: U256::from(7) });
    let channel = stage.channel(&[(asset, [100, 0])]);
    let refused = stage.deposit(0, &channel, TokenSource::Allowance);
    assert!(matches!(refused, Err(Error::Greedy { .. })), "{refused:?}");
    assert_eq!(stage.parties[0].orders.sender().book().waiting_count(), 0);
}

/// Whoever lets us deposit a token that moves only when it is tried costs us three fees and no
/// more.
pub(crate) fn a_deposit_that_fails_in_blocks_is_given_up(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("LyingToken", 100);
    let channel = stage.channel(&[(asset, [100, 0])]);
    stage.deposit(0, &channel, TokenSource::Allowance).unwrap();
    stage.block();
    stage.act(token, &TestToken::setLieCall { kind: U256::from(8) });
    let wallet = stage.parties[0].wallet();
    let sent = |stage: &Stage| stage.node().nonce(wallet, At::Latest).unwrap();
    let before = sent(&stage);
    let refused = loop {
        match stage.deposit(0, &channel, TokenSource::Allowance) {
            Ok(_) => stage.block(),
            Err(error) => break error,
        };
    };
    assert!(matches!(refused, Error::Unfit { .. }), "{refused}");
    assert_eq!(sent(&stage) - before, 3);
}

/// Whoever makes a token can have the hub hold more of it for one name than 128 bits say. What is
/// read of the other channels does not depend on that.
pub(crate) fn a_channel_that_holds_too_much_hides_no_other(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("TestToken", 1);
    let (honest, flooded) = (
        stage.channel(&[(stage.coin(), [5, 6])]),
        stage.channel(&[(asset.clone(), [u128::MAX / 2, 0])]),
    );
    stage.fund(&honest, TokenSource::Allowance);
    let maker = KeyAccount::new(key("deployer")).unwrap().address();
    for _ in 0..2 {
        stage.act(token, &TestToken::mintCall { to: maker, amount: U256::from(u128::MAX) });
    }
    let hub = stage.deployment.hub();
    stage.act(token, &TestToken::approveCall { spender: hub, amount: U256::MAX });
    let (params, initial) = (&flooded.params, &flooded.initial);
    let deposits = params.participants().iter().map(|participant| sol::Deposit {
        holder: eth(asset.holder()),
        participant: eth(participant.address()),
        amount: U256::from(u128::MAX),
        source: sol::Source::Sender,
        data: Bytes::new(),
    });
    let id = word(&params.id());
    let (deposits, payees) = (deposits.collect(), Vec::new());
    stage.act(hub, &sol::Hub::openCall { id, deposits, payees });
    let signed = stage.signed(&flooded, initial);
    stage.until_done(0, |desk| desk.register(params, &signed, &[]));
    stage.pass(CHALLENGE);
    let call = sol::Hub::concludeCall {
        params: convert::params(params),
        state: convert::state(initial),
        subStates: Vec::new(),
    };
    stage.act(hub, &call);
    let mut follower = stage.follower(1, &[&honest, &flooded]);
    let look = follower.look(stage.node()).unwrap();
    assert_eq!(look.unread, []);
    let standings = look.reports.into_iter().map(|report| (report.channel, report.head.standing));
    let standings: BTreeMap<_, _> = standings.collect();
    assert_eq!(standings[&honest.params.id()], Standing::Open);
    let Standing::Concluded(ending) = &standings[&params.id()] else { panic!("{standings:?}") };
    assert_eq!(ending.unpaid, 1);
}
