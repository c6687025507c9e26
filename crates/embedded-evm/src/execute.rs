//! Running transactions in `revm`.
//!
//! Blocks run them strictly; `eth_call` and `eth_estimateGas` run them as nodes do for questions:
//! without a signature, a nonce or, if no price is named, a fee. The invariant: nothing here
//! changes a state; callers commit what comes back.

use crate::meter::{GasParts, Meter};
use crate::options::{Hardfork, Options};
use crate::refusal::Refusal;
use crate::world::View;
use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Header, Transaction, TxEnvelope, Typed2718};
use alloy_primitives::{Address, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use revm::context::result::{
    EVMError, ExecutionResult, HaltReason, InvalidTransaction, OutOfGasError, ResultAndState,
};
use revm::context::{BlockEnv, CfgEnv, Context, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::either::Either;
use revm::database_interface::WrapDatabaseRef;
use revm::{ExecuteEvm, InspectEvm, MainBuilder, MainContext};
use std::convert::Infallible;

/// The rules of one chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) chain_id: u64,
    pub(crate) hardfork: Hardfork,
    call_gas_max: u64,
}

impl From<&Options> for Rules {
    fn from(options: &Options) -> Self {
        Self {
            chain_id: options.chain_id,
            hardfork: options.hardfork,
            call_gas_max: options.limits.call_gas,
        }
    }
}

impl Rules {
    fn cfg(self) -> CfgEnv {
        CfgEnv::new()
            .with_spec_and_mainnet_gas_params(self.hardfork.spec())
            .with_chain_id(self.chain_id)
    }

    /// For questions: what a node leaves out when nothing is signed and, if so, nobody pays.
    fn relaxed(self, free: bool) -> CfgEnv {
        let mut cfg = self.cfg();
        cfg.disable_nonce_check = true;
        cfg.disable_base_fee = free;
        cfg.disable_block_gas_limit = true;
        cfg.disable_eip3607 = true;
        cfg.tx_chain_id_check = false;
        cfg.tx_gas_limit_cap = Some(u64::MAX);
        cfg
    }

    /// Runs a transaction of a block.
    pub(crate) fn run(
        self,
        header: &Header,
        view: &View,
        tx: &Recovered<TxEnvelope>,
    ) -> Result<ResultAndState, EVMError<Infallible>> {
        execute(self.cfg(), block_env(header), view, tx_env(tx))
    }

    /// Runs a transaction as in a block, and says where its gas goes.
    pub(crate) fn meter(
        self,
        header: &Header,
        view: &View,
        tx: &Recovered<TxEnvelope>,
    ) -> Result<GasParts, EVMError<Infallible>> {
        let context = Context::mainnet().with_cfg(self.cfg()).with_block(block_env(header));
        let context = context.with_db(WrapDatabaseRef(view));
        let mut evm = context.build_mainnet_with_inspector(Meter::default());
        let done = evm.inspect_one_tx(tx_env(tx))?;
        Ok(evm.inspector.parts(tx.gas_limit(), done.gas().final_refunded()))
    }

    /// Runs a question with this much gas.
    pub(crate) fn ask(
        self,
        header: &Header,
        view: &View,
        request: &TransactionRequest,
        gas: u64,
    ) -> Result<ExecutionResult, Refusal> {
        let tx = request_env(self, view, request, gas.min(self.call_gas_max))?;
        let (caller, free) = (tx.caller, tx.gas_price == 0);
        let mut block = block_env(header);
        if free {
            // Who pays nothing also sees a base fee of nothing, or contracts that subtract it from
            // the price would fail.
            block.basefee = 0;
        }
        match execute(self.relaxed(free), block, view, tx) {
            Ok(done) => Ok(done.result),
            Err(EVMError::Transaction(invalid)) => {
                Err(Refusal::refused(invalid_text(&caller, &invalid)))
            }
            Err(other) => Err(Refusal::refused(other.to_string())),
        }
    }
}

fn execute(
    cfg: CfgEnv,
    block: BlockEnv,
    view: &View,
    tx: TxEnv,
) -> Result<ResultAndState, EVMError<Infallible>> {
    let context = Context::mainnet().with_cfg(cfg).with_block(block);
    context.with_db(WrapDatabaseRef(view)).build_mainnet().transact(tx)
}

fn block_env(header: &Header) -> BlockEnv {
    let fraction = revm::primitives::eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE;
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new(0, fraction)),
        ..BlockEnv::default()
    }
}

pub(crate) fn tx_env(tx: &Recovered<TxEnvelope>) -> TxEnv {
    let authorizations = tx.authorization_list().unwrap_or_default();
    TxEnv {
        tx_type: tx.ty(),
        caller: tx.signer(),
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
        ..TxEnv::default()
    }
}

fn request_env(
    rules: Rules,
    view: &View,
    request: &TransactionRequest,
    gas: u64,
) -> Result<TxEnv, Refusal> {
    if request.blob_versioned_hashes.is_some() || request.sidecar.is_some() {
        return Err(Refusal::params("blob transactions are not supported on this chain"));
    }
    if request.gas_price.is_some()
        && (request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some())
    {
        let what = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
        return Err(Refusal::params(what));
    }
    if request.chain_id.is_some_and(|id| id != rules.chain_id) {
        let asked = request.chain_id.unwrap_or_default();
        let what = format!("chainId does not match node's (have={asked}, want={})", rules.chain_id);
        return Err(Refusal::params(what));
    }
    if let (Some(input), Some(data)) = (&request.input.input, &request.input.data)
        && input != data
    {
        let what = "both \"data\" and \"input\" are set and not equal. Please use \"input\" to \
                    pass transaction call data";
        return Err(Refusal::params(what));
    }
    let caller = request.from.unwrap_or_default();
    let mut tx = TxEnv {
        caller,
        gas_limit: gas,
        gas_price: request.gas_price.or(request.max_fee_per_gas).unwrap_or_default(),
        gas_priority_fee: request.max_priority_fee_per_gas,
        kind: request.to.unwrap_or(TxKind::Create),
        value: request.value.unwrap_or_default(),
        data: request.input.input().cloned().unwrap_or_default(),
        nonce: view.world.nonce(&caller),
        chain_id: Some(rules.chain_id),
        access_list: request.access_list.clone().unwrap_or_default(),
        ..TxEnv::default()
    };
    if let Some(list) = &request.authorization_list {
        tx.authorization_list = list.iter().cloned().map(Either::Left).collect();
        if tx.kind.is_create() {
            let what = "EIP-7702 transaction cannot be used to create contract";
            return Err(Refusal::refused(what));
        }
    }
    tx.derive_tx_type().map_err(|error| Refusal::params(error.to_string()))?;
    Ok(tx)
}

/// What a failed run is called.
pub(crate) fn halt_text(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(OutOfGasError::InvalidOperand) => "gas uint64 overflow".to_owned(),
        HaltReason::OutOfGas(_) => "out of gas".to_owned(),
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode".to_owned(),
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID".to_owned(),
        HaltReason::InvalidJump => "invalid jump destination".to_owned(),
        HaltReason::StackUnderflow => "stack underflow".to_owned(),
        HaltReason::StackOverflow => "stack limit reached 1024 (1023)".to_owned(),
        HaltReason::OutOfOffset => "return data out of bounds".to_owned(),
        HaltReason::CreateCollision => "contract address collision".to_owned(),
        HaltReason::CreateContractSizeLimit => "max code size exceeded".to_owned(),
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        HaltReason::CreateContractStartingWithEF => {
            "invalid code: must not begin with 0xef".to_owned()
        }
        HaltReason::NonceOverflow => "nonce uint64 overflow".to_owned(),
        other => other.to_string(),
    }
}

fn invalid_text(caller: &Address, invalid: &InvalidTransaction) -> String {
    match invalid {
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            let what = "insufficient funds for gas * price + value";
            format!("{what}: address {caller} have {balance} want {fee}")
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
            format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
        }
        InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
            let what = "insufficient gas for floor data gas cost";
            format!("{what}: have {gas_limit}, want {gas_floor}")
        }
        InvalidTransaction::GasPriceLessThanBasefee => {
            format!("max fee per gas less than block base fee: address {caller}")
        }
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => {
            "max priority fee per gas higher than max fee per gas".to_owned()
        }
        InvalidTransaction::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        InvalidTransaction::EmptyAuthorizationList => {
            "EIP-7702 transaction with empty auth list".to_owned()
        }
        other => other.to_string(),
    }
}
