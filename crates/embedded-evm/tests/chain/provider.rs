//! An alloy provider over the chain's transport behaves as over HTTP.

use super::*;
use alloy_eips::BlockId;
use alloy_network::{EthereumWallet, TransactionBuilder};
use alloy_provider::{DynProvider, Provider, ProviderBuilder};
use alloy_rpc_client::RpcClient;
use alloy_rpc_types_eth::{Filter, TransactionRequest};
use perun_embedded_evm::testkit::ETHER;
use perun_embedded_evm::{EvmTransport, Fault, Faults};
use std::time::Duration;

pub(super) fn provider_over(transport: EvmTransport, from: u32) -> DynProvider {
    let client = RpcClient::new(transport, true);
    client.set_poll_interval(Duration::from_millis(5));
    let wallet = EthereumWallet::from(signer(from));
    ProviderBuilder::new().wallet(wallet).connect_client(client).erased()
}

#[tokio::test]
async fn a_filled_and_signed_transaction_gets_its_receipt() {
    let chain = dev_chain();
    let provider = provider_over(chain.transport(), 0);
    let to = Address::repeat_byte(7);
    let request = TransactionRequest::default().with_to(to).with_value(U256::from(ETHER));
    let pending = provider.send_transaction(request).await.unwrap();
    let hash = *pending.tx_hash();
    assert_eq!(chain.pool(), [hash]);
    chain.mine(1).unwrap();
    let receipt = pending.get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!((receipt.transaction_hash, receipt.block_number), (hash, Some(1)));
    assert_eq!(receipt.block_hash, Some(chain.head().hash));
    assert_eq!(provider.get_balance(to).await.unwrap(), U256::from(ETHER));
    assert_eq!(provider.get_transaction_count(signer(0).address()).await.unwrap(), 1);
}

#[tokio::test]
async fn confirmations_are_waited_for() {
    let chain = dev_chain();
    let provider = provider_over(chain.transport(), 0);
    let request = TransactionRequest::default().with_to(Address::ZERO).with_value(U256::from(1));
    let pending = provider.send_transaction(request).await.unwrap();
    let waiting = tokio::spawn(pending.with_required_confirmations(3).get_receipt());
    for _ in 0..3 {
        chain.mine(1).unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(waiting.await.unwrap().unwrap().block_number, Some(1));
}

#[tokio::test]
async fn a_contract_is_deployed_called_and_its_logs_found() {
    let chain = Chain::new(Options { auto_mine: true, ..Options::dev() });
    let provider = provider_over(chain.transport(), 0);
    let deploy = TransactionRequest::default().with_deploy_code(making(LOGGER));
    let receipt = provider.send_transaction(deploy).await.unwrap().get_receipt().await.unwrap();
    let place = receipt.contract_address.unwrap();
    assert_eq!(provider.get_code_at(place).await.unwrap(), Bytes::from(LOGGER));
    let log = TransactionRequest::default().with_to(place).with_input(word(5));
    let receipt = provider.send_transaction(log).await.unwrap().get_receipt().await.unwrap();
    let filter = Filter::new().address(place).from_block(0).event_signature(U256::from(5));
    let logs = provider.get_logs(&filter).await.unwrap();
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0].transaction_hash, Some(receipt.transaction_hash));
    assert_eq!(&logs, receipt.inner.logs());
}

#[tokio::test]
async fn blocks_receipts_and_fees_are_read() {
    let chain = dev_chain();
    perun_embedded_evm::testkit::transfer(&chain, &signer(0), Address::ZERO, U256::from(1))
        .unwrap();
    let provider = provider_over(chain.transport(), 1);
    let pending = provider.get_block(BlockId::pending()).full().await.unwrap().unwrap();
    assert_eq!((pending.header.number, pending.transactions.len()), (1, 1));
    chain.mine(1).unwrap();
    let block = provider.get_block(BlockId::latest()).full().await.unwrap().unwrap();
    assert_eq!(block.header.hash, chain.head().hash);
    let same = provider.get_block_by_hash(block.header.hash).await.unwrap().unwrap();
    assert_eq!(same.header, block.header);
    let receipts = provider.get_block_receipts(BlockId::latest()).await.unwrap().unwrap();
    assert_eq!(receipts.len(), 1);
    let fees = provider.estimate_eip1559_fees().await.unwrap();
    assert!(fees.max_fee_per_gas > 0);
    assert_eq!(provider.get_chain_id().await.unwrap(), 31_337);
    let history = provider.get_fee_history(2, Default::default(), &[50.0]).await.unwrap();
    assert_eq!(history.reward.unwrap()[1], [1_000_000_000]);
}

#[tokio::test]
async fn refusals_arrive_with_their_code_sentence_and_bytes() {
    let chain = dev_chain();
    let place = contract(&chain, REVERTER);
    let provider = provider_over(chain.transport(), 0);
    let request = TransactionRequest::default().with_to(place).with_input(word(5));
    let error = provider.call(request).await.unwrap_err();
    let payload = error.as_error_resp().unwrap();
    assert_eq!(payload.code, 3);
    assert_eq!(payload.as_revert_data(), Some(word(5)));
    let raw = provider.send_raw_transaction(&[1, 2, 3]).await.unwrap_err();
    assert_eq!(raw.as_error_resp().unwrap().code, -32000);
    let unknown = provider.client().request_noparams::<Value>("eth_nothing").await.unwrap_err();
    assert_eq!(unknown.as_error_resp().unwrap().code, -32601);
}

#[tokio::test]
async fn a_batch_is_answered_in_one_piece() {
    let chain = dev_chain();
    let client = RpcClient::new(chain.transport(), true);
    let mut batch = client.new_batch();
    let id = batch.add_call::<_, Value>("eth_chainId", &()).unwrap();
    let none = batch.add_call::<_, Value>("eth_nothing", &()).unwrap();
    batch.send().await.unwrap();
    assert_eq!(id.await.unwrap(), "0x7a69");
    assert!(none.await.is_err());
}

#[tokio::test]
async fn a_provider_sees_the_faults_that_are_planned() {
    let (chain, faults) = (dev_chain(), Faults::default());
    let provider = provider_over(chain.faulty_transport(&faults), 0);
    faults.on("eth_sendRawTransaction", Fault::AnswerLost, 1);
    let request = TransactionRequest::default().with_to(Address::ZERO).with_value(U256::from(1));
    let lost = provider.send_transaction(request).await.unwrap_err();
    assert!(lost.is_transport_error(), "{lost}");
    assert_eq!(chain.pool().len(), 1, "the transaction is in the pool all the same");
    faults.next(Fault::Status(503));
    let busy = provider.get_block_number().await.unwrap_err();
    assert!(busy.to_string().contains("503"), "{busy}");
    faults.next(Fault::Hang);
    let hung = tokio::time::timeout(Duration::from_millis(20), provider.get_block_number());
    assert!(hung.await.is_err());
    assert_eq!(provider.get_block_number().await.unwrap(), 0);
}
