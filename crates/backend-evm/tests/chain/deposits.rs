//! How money gets in.

use std::sync::Arc;

use alloy_primitives::{Address, U256};
use perun_backend_evm::Error;
use perun_backend_evm::abi::{eth, solidity as sol};
use perun_backend_evm::follow::Standing;
use perun_backend_evm::orders::{TokenSource, offers};
use perun_backend_evm::rpc::{At, Node};
use perun_backend_evm::sender::Progress;
use perun_backend_evm::sender::book::{Key, Task};
use serde_json::json;

use crate::kit::{Channel, ETHER, Stage, TestChain, TestToken};

fn allowance(stage: &Stage, token: Address, owner: Address) -> u128 {
    let call = TestToken::allowanceCall { owner, spender: stage.deployment.hub() };
    stage.node().read(token, &call, At::Latest).unwrap().to()
}

/// The wallet itself gives an allowance.
fn approve(stage: &mut Stage, party: usize, token: Address, amount: u128) {
    use alloy_sol_types::SolCall;
    let chain = stage.chain.clone();
    let spender = stage.deployment.hub();
    let call = TestToken::approveCall { spender, amount: U256::from(amount) };
    let task = Task { to: token, value: U256::ZERO, input: call.abi_encode().into() };
    let key = Key::of_account("a test's own", token);
    stage.parties[party].orders.sender().send(Node(chain.as_ref()), key, task).unwrap();
    stage.block();
}

fn deposit_one(stage: &mut Stage, channel: &Channel, source: TokenSource) {
    for _ in 0..12 {
        if stage.deposit(0, channel, source).unwrap() == Progress::Done {
            return;
        }
        stage.block();
    }
    panic!("no deposit after twelve blocks");
}

pub(crate) fn an_allowance_is_exactly_what_is_deposited(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("TestToken", 1_000);
    let channel = stage.channel(&[(asset, [600, 0])]);
    let wallet = stage.parties[0].wallet();
    let first = stage.deposit(0, &channel, TokenSource::Allowance);
    assert!(matches!(first, Ok(Progress::Sent(_))), "{first:?}");
    stage.block();
    assert_eq!(allowance(&stage, token, wallet), 600);
    deposit_one(&mut stage, &channel, TokenSource::Allowance);
    assert_eq!(allowance(&stage, token, wallet), 0);
    assert_eq!(stage.standing(&channel), Standing::Open);
}

/// The token refuses one allowance over another, and answers nothing.
pub(crate) fn a_rest_of_an_allowance_is_taken_back_first(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("StrictToken", 1_000);
    let wallet = stage.parties[0].wallet();
    approve(&mut stage, 0, token, 5);
    let channel = stage.channel(&[(asset.clone(), [600, 0])]);
    stage.deposit(0, &channel, TokenSource::Best).unwrap();
    stage.block();
    assert_eq!(allowance(&stage, token, wallet), 0);
    deposit_one(&mut stage, &channel, TokenSource::Best);
    assert_eq!(allowance(&stage, token, wallet), 0);
    assert_eq!(stage.balance_of(token, stage.deployment.hub()), 600);

    approve(&mut stage, 0, token, 10_000);
    let channel = stage.channel(&[(asset, [100, 0])]);
    deposit_one(&mut stage, &channel, TokenSource::Allowance);
    assert_eq!(allowance(&stage, token, wallet), 9_900, "what the owner allowed is used");
}

pub(crate) fn tokens_move_by_signature(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("TestToken", 1_000);
    let wallet = stage.parties[0].wallet();
    let ways = [TokenSource::Eip3009, TokenSource::Eip2612];
    assert_eq!(offers(stage.node(), token, wallet), Ok(ways.to_vec()));
    for source in [TokenSource::Eip3009, TokenSource::Eip2612, TokenSource::Best] {
        let channel = stage.channel(&[(asset.clone(), [100, 0])]);
        let before = stage.node().nonce(wallet, At::Latest).unwrap();
        deposit_one(&mut stage, &channel, source);
        let after = stage.node().nonce(wallet, At::Latest).unwrap();
        assert_eq!(after - before, 1, "one transaction, {source:?}");
        assert_eq!(stage.standing(&channel), Standing::Open);
        assert_eq!(allowance(&stage, token, wallet), 0);
    }
    let (plain, _) = stage.token("StrictToken", 1);
    assert_eq!(offers(stage.node(), plain, wallet), Ok(vec![]));
}

/// go-perun waits for a `Deposited` of each asset's holder, and looks at nothing else.
pub(crate) fn the_name_of_a_token_tells_of_its_deposit(chain: Arc<dyn TestChain>) {
    let event = alloy_primitives::keccak256("Deposited(bytes32,uint256)");
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("TestToken", 1_000);
    let (coin, wallet) = (stage.coin(), stage.parties[0].wallet());
    let channel = stage.channel(&[(coin.clone(), [50, 0]), (asset.clone(), [600, 0])]);
    deposit_one(&mut stage, &channel, TokenSource::Facade);
    assert_eq!(stage.standing(&channel), Standing::Open);
    let owner = *channel.params.participants()[0].address();
    let name = perun_backend_evm::abi::funding_id(&channel.params.id(), &owner);
    for (holder, amount) in [(eth(coin.holder()), 50), (eth(asset.holder()), 600)] {
        let topics = [event, name];
        let query = json!([{ "address": holder, "fromBlock": "0x0", "topics": topics }]);
        let logs = stage.chain.request("eth_getLogs", query).unwrap();
        let told: Vec<U256> = logs
            .as_array()
            .unwrap()
            .iter()
            .map(|log| serde_json::from_value(log["data"].clone()).unwrap())
            .collect();
        assert_eq!(told, [U256::from(amount)]);
        let question = TestToken::allowanceCall { owner: wallet, spender: eth(asset.holder()) };
        let left: U256 = stage.node().read(token, &question, At::Latest).unwrap();
        assert_eq!(left, U256::ZERO);
    }
    // Paid to the wallet, though the session key signs.
    let payee = sol::Hub::payeeOfCall { fundingID: name };
    assert_eq!(stage.node().read(stage.deployment.hub(), &payee, At::Latest), Ok(wallet));
}

pub(crate) fn a_token_that_only_seems_to_take_signatures_gets_an_allowance(
    chain: Arc<dyn TestChain>,
) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("LyingToken", 1_000);
    let wallet = stage.parties[0].wallet();
    assert_eq!(offers(stage.node(), token, wallet), Ok(vec![TokenSource::Eip2612]));
    let channel = stage.channel(&[(asset, [100, 0])]);
    let refused = stage.deposit(0, &channel, TokenSource::Eip2612);
    assert!(matches!(refused, Err(Error::Reverted(_))), "{refused:?}");
    deposit_one(&mut stage, &channel, TokenSource::Best);
    assert_eq!(stage.standing(&channel), Standing::Open);
    assert_eq!(allowance(&stage, token, wallet), 0);
}

pub(crate) fn channels_take_turns_with_an_allowance(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("TestToken", 1_000);
    let one = stage.channel(&[(asset.clone(), [600, 0])]);
    let two = stage.channel(&[(asset, [300, 0])]);
    assert!(matches!(stage.deposit(0, &one, TokenSource::Allowance), Ok(Progress::Sent(_))));
    assert_eq!(stage.deposit(0, &two, TokenSource::Allowance), Ok(Progress::Queued));
    stage.block();
    assert!(matches!(stage.deposit(0, &one, TokenSource::Allowance), Ok(Progress::Sent(_))));
    assert_eq!(stage.deposit(0, &two, TokenSource::Allowance), Ok(Progress::Queued));
    stage.block();
    // Nobody asks for the first again: what it waited for is there.
    deposit_one(&mut stage, &two, TokenSource::Allowance);
    for channel in [&one, &two] {
        assert_eq!(stage.standing(channel), Standing::Open);
    }
    assert_eq!(allowance(&stage, token, stage.parties[0].wallet()), 0);
}

pub(crate) fn too_few_coins_tokens_or_allowance_are_seen_before_sending(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let wallet = stage.parties[0].wallet();
    let rich = stage.channel(&[(stage.coin(), [101 * u128::from(ETHER), 0])]);
    let refused = stage.deposit(0, &rich, TokenSource::Allowance);
    assert!(matches!(refused, Err(Error::InsufficientCoins { .. })), "{refused:?}");
    let all = stage.channel(&[(stage.coin(), [100 * u128::from(ETHER), 0])]);
    let refused = stage.deposit(0, &all, TokenSource::Allowance);
    assert!(matches!(refused, Err(Error::InsufficientCoins { .. })), "nothing for the fee");

    let (token, asset) = stage.token("TestToken", 10);
    let channel = stage.channel(&[(asset.clone(), [11, 0])]);
    let (have, need) = (U256::from(10), U256::from(11));
    for source in [TokenSource::Allowance, TokenSource::Eip3009, TokenSource::Eip2612] {
        let refused = stage.deposit(0, &channel, source);
        let expected = Error::InsufficientTokens { account: wallet, token, have, need };
        assert_eq!(refused, Err(expected), "{source:?}");
    }
    let channel = stage.channel(&[(asset, [10, 0])]);
    let refused = stage.deposit(0, &channel, TokenSource::Permit2);
    let (have, need) = (U256::ZERO, U256::from(10));
    assert_eq!(refused, Err(Error::InsufficientAllowance { token, have, need }));
    assert_eq!(stage.parties[0].orders.sender().book().waiting_count(), 0);
}

pub(crate) fn lying_tokens_get_no_deposit(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (token, asset) = stage.token("LyingToken", 1_000);
    let channel = stage.channel(&[(asset, [100, 0])]);
    let lie = |stage: &Stage, kind: u64| {
        stage.act(token, &TestToken::setLieCall { kind: U256::from(kind) });
    };
    lie(&stage, 1);
    let refused = stage.deposit(0, &channel, TokenSource::Allowance);
    assert!(matches!(refused, Err(Error::LyingToken { .. })), "{refused:?}");
    lie(&stage, 0);
    stage.deposit(0, &channel, TokenSource::Allowance).unwrap();
    stage.block();
    for kind in [2, 3] {
        lie(&stage, kind);
        let refused = stage.deposit(0, &channel, TokenSource::Allowance);
        let Err(Error::Reverted(revert)) = refused else { panic!("{refused:?}") };
        assert_eq!(revert.name(), "TokenDelta");
    }
    assert_eq!(stage.standing(&channel), Standing::Absent);
}

pub(crate) fn a_token_without_a_name_gets_no_deposit(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let stranger = Address::repeat_byte(0x77);
    let channel = stage.channel(&[(stage.deployment.asset(stranger), [100, 0])]);
    let refused = stage.deposit(0, &channel, TokenSource::Allowance);
    assert_eq!(refused, Err(Error::UnknownHolder(stranger)));
    let nothing = stage.order(0, |desk| desk.create_facade(stranger));
    assert!(matches!(nothing, Err(Error::Reverted(_))), "there is no such contract");
}

/// Somebody deposited a part of it already: only the rest follows.
pub(crate) fn a_deposit_is_topped_up_to_the_share(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let channel = stage.channel(&[(stage.coin(), [100, 0])]);
    let owner = *channel.params.participants()[0].address();
    let name = perun_backend_evm::abi::funding_id(&channel.params.id(), &owner);
    let chain = stage.chain.clone();
    let task = |amount: u64| {
        use alloy_sol_types::SolCall;
        let amount = U256::from(amount);
        let call = sol::Hub::depositCall { fundingID: name, amount };
        Task { to: stage.deployment.hub(), value: amount, input: call.abi_encode().into() }
    };
    let (key, task) = (Key::of_account("a gift", stage.deployment.hub()), task(60));
    stage.parties[1].orders.sender().send(Node(chain.as_ref()), key, task).unwrap();
    stage.block();
    deposit_one(&mut stage, &channel, TokenSource::Allowance);
    let holder = eth(stage.coin().holder());
    let held = stage.parties[0].orders.at(Node(chain.as_ref()), 0);
    assert_eq!(held.held(&channel.params.id(), holder, &owner), Ok(U256::from(100)));
}

/// The process ends when its deposit waits for a block. The next one knows nothing of it, and must
/// not make another: what is too much is shared with the other side.
pub(crate) fn a_restart_does_not_deposit_twice(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (_, token) = stage.token("TestToken", 1_000);
    for (asset, share) in [(stage.coin(), u128::from(ETHER)), (token, 100)] {
        let channel = stage.channel(&[(asset.clone(), [share, share])]);
        let (owner, holder) = (*channel.params.participants()[0].address(), eth(asset.holder()));
        let held = |stage: &mut Stage| {
            let chain = stage.chain.clone();
            let desk = stage.parties[0].orders.at(Node(chain.as_ref()), 0);
            desk.held(&channel.params.id(), holder, &owner).unwrap()
        };
        let source = TokenSource::Best;
        assert!(matches!(stage.deposit(0, &channel, source), Ok(Progress::Sent(_))));
        stage.parties[0] = stage.successor(0);
        let _ = stage.deposit(0, &channel, source);
        for _ in 0..4 {
            stage.block();
            assert!(held(&mut stage) <= U256::from(share), "deposited twice");
            let _ = stage.deposit(0, &channel, source);
        }
        assert_eq!(held(&mut stage), U256::from(share));
    }
}
