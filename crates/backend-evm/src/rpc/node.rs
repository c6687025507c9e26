//! The questions with types.
//!
//! Everything about contracts is asked at a block's hash, not at a height or a tag (EIP-1898), so
//! that two answers that are put together are of one and the same chain.

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use alloy_sol_types::SolCall;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{BATCH_MAX, Rpc, RpcError, wire};
use crate::Error;
use crate::fees::{FeeHistory, HISTORY_BLOCKS, TIP_PERCENTILE};

/// Most topics of one log.
const TOPICS_MAX: usize = 4;

/// Where in the chain's history something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After the newest block.
    Latest,
    /// After the newest block and what waits for the next.
    Pending,
    /// After the newest block that cannot be undone.
    Finalized,
    /// After the block at this height.
    Number(u64),
    /// After the block with this hash.
    Hash(B256),
}

impl At {
    fn json(self) -> Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Pending => json!("pending"),
            Self::Finalized => json!("finalized"),
            Self::Number(number) => wire::hex(number),
            Self::Hash(hash) => json!({ "blockHash": hash }),
        }
    }
}

/// A block, as far as it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block before.
    pub parent: B256,
    /// Its time in seconds.
    pub timestamp: u64,
    /// The gas of all its transactions may be this much.
    pub gas_limit: u64,
}

/// What a contract told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Which contract.
    pub address: Address,
    /// What is indexed.
    pub topics: Vec<B256>,
    /// The rest.
    pub data: Bytes,
    /// The height of its block.
    pub block_number: u64,
    /// The hash of its block.
    pub block_hash: B256,
    /// The transaction.
    pub transaction: B256,
    /// Its position among its block's logs.
    pub index: u64,
}

/// Which logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Of this contract.
    pub address: Address,
    /// One of these in the first place.
    pub events: Vec<B256>,
    /// One of these in the second.
    pub subject: B256,
}

/// A call of a contract, or a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRequest {
    /// From which account.
    pub from: Address,
    /// To which.
    pub to: Address,
    /// With how many coins.
    pub value: U256,
    /// With this input.
    pub input: Bytes,
}

impl CallRequest {
    fn json(&self) -> Value {
        let value = wire::hex_large(self.value);
        json!({ "from": self.from, "to": self.to, "value": value, "data": self.input })
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The node does not know it.
    Unknown,
    /// It waits for a block.
    Waiting,
    /// It is in a block.
    Mined {
        /// The block's height.
        number: u64,
        /// The block's hash.
        hash: B256,
        /// Whether it did what it should.
        succeeded: bool,
    },
}

/// A node whose answers have types.
#[derive(Clone, Copy)]
pub struct Node<'a>(pub &'a dyn Rpc);

impl Node<'_> {
    fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
        what: &'static str,
    ) -> Result<T, RpcError> {
        typed(method, what, self.0.request(method, params)?)
    }

    fn maybe<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
        what: &'static str,
    ) -> Result<Option<T>, RpcError> {
        self.ask(method, params, what)
    }

    /// The chain's number.
    pub fn chain_id(&self) -> Result<u64, RpcError> {
        self.ask::<U64>("eth_chainId", json!([]), "a chain number").map(|number| number.to())
    }

    /// The block there, if there is one.
    pub fn block(&self, at: At) -> Result<Option<Block>, RpcError> {
        const WHAT: &str = "the block that was asked for";
        let shown: Option<wire::Block> = match at {
            At::Hash(hash) => self.maybe("eth_getBlockByHash", json!([hash, false]), WHAT)?,
            at => self.maybe("eth_getBlockByNumber", json!([at.json(), false]), WHAT)?,
        };
        let Some(shown) = shown else { return Ok(None) };
        let block = Block {
            number: shown.number.to(),
            hash: shown.hash,
            parent: shown.parent_hash,
            timestamp: shown.timestamp.to(),
            gas_limit: shown.gas_limit.to(),
        };
        let fits = match at {
            At::Hash(hash) => block.hash == hash,
            At::Number(number) => block.number == number,
            _ => true,
        };
        let method = "eth_getBlock".to_owned();
        if fits { Ok(Some(block)) } else { Err(RpcError::Reply { method, what: WHAT }) }
    }

    /// The newest block.
    pub fn head(&self) -> Result<Block, RpcError> {
        let method = "eth_getBlockByNumber".to_owned();
        self.block(At::Latest)?.ok_or(RpcError::Reply { method, what: "the newest block" })
    }

    /// Runs a call without sending it; an error if it reverts.
    pub fn run(&self, call: &CallRequest, at: At) -> Result<Bytes, Error> {
        let params = json!([call.json(), at.json()]);
        self.ask("eth_call", params, "bytes").map_err(reverted)
    }

    /// Reads from a contract.
    pub fn read<C: SolCall>(&self, to: Address, call: &C, at: At) -> Result<C::Return, Error> {
        let params = read_params(to, call, at);
        let bytes: Bytes = self.ask("eth_call", params, "bytes").map_err(reverted)?;
        decode::<C>(&bytes)
    }

    /// Reads many things of one kind from contracts, in order.
    pub fn read_all<C: SolCall>(
        &self,
        calls: &[(Address, C)],
        at: At,
    ) -> Result<Vec<C::Return>, Error> {
        let mut out = Vec::with_capacity(calls.len());
        for part in calls.chunks(BATCH_MAX) {
            let questions = part.iter().map(|(to, call)| ("eth_call", read_params(*to, call, at)));
            let answers = self.0.batch(questions.collect());
            if answers.len() != part.len() {
                let method = "eth_call".to_owned();
                return Err(RpcError::Reply { method, what: "as many answers as questions" }.into());
            }
            for answer in answers {
                let bytes: Bytes = typed("eth_call", "bytes", answer.map_err(reverted)?)?;
                out.push(decode::<C>(&bytes)?);
            }
        }
        Ok(out)
    }

    /// How much gas a call takes after the newest block.
    pub fn estimate(&self, call: &CallRequest) -> Result<u64, Error> {
        let gas: U64 = self
            .ask("eth_estimateGas", json!([call.json(), At::Latest.json()]), "gas")
            .map_err(reverted)?;
        Ok(gas.to())
    }

    /// How many transactions of an account there are.
    pub fn nonce(&self, account: Address, at: At) -> Result<u64, RpcError> {
        let params = json!([account, at.json()]);
        self.ask::<U64>("eth_getTransactionCount", params, "a number").map(|number| number.to())
    }

    /// What an account has.
    pub fn balance(&self, account: Address, at: At) -> Result<U256, RpcError> {
        self.ask("eth_getBalance", json!([account, at.json()]), "an amount")
    }

    /// A contract's code; empty if there is none.
    pub fn code(&self, account: Address, at: At) -> Result<Bytes, RpcError> {
        self.ask("eth_getCode", json!([account, at.json()]), "code")
    }

    /// What was paid for gas lately.
    pub fn fee_history(&self) -> Result<FeeHistory, RpcError> {
        let params = json!([wire::hex(HISTORY_BLOCKS), "latest", [TIP_PERCENTILE]]);
        let shown: wire::FeeHistory = self.ask("eth_feeHistory", params, "fees")?;
        let method = "eth_feeHistory".to_owned();
        let next = shown.base_fee_per_gas.last();
        let next = next.ok_or(RpcError::Reply { method, what: "fees of at least one block" })?;
        // A block without transactions has no tip; it would pull the middle to nothing.
        let used = shown.gas_used_ratio.iter().map(|ratio| *ratio > 0.0);
        let tips = shown.reward.unwrap_or_default();
        let tips = tips.iter().zip(used).filter(|(_, used)| *used);
        let tips = tips.filter_map(|(tips, _)| tips.first()).map(|tip: &U128| tip.to());
        Ok(FeeHistory { next_base_fee: next.to(), tips: tips.collect() })
    }

    /// Sends a signed transaction.
    pub fn send_raw(&self, raw: &Bytes) -> Result<B256, RpcError> {
        self.ask("eth_sendRawTransaction", json!([raw]), "a hash")
    }

    /// What became of a transaction.
    pub fn fate(&self, transaction: B256) -> Result<Fate, RpcError> {
        const WHAT: &str = "the receipt of this transaction";
        let params = json!([transaction]);
        let receipt = self.maybe("eth_getTransactionReceipt", params.clone(), WHAT)?;
        if let Some(wire::Receipt { transaction_hash, block_number, block_hash, status }) = receipt
        {
            if transaction_hash != transaction {
                let method = "eth_getTransactionReceipt".to_owned();
                return Err(RpcError::Reply { method, what: WHAT });
            }
            let succeeded = status.to::<u64>() == 1;
            return Ok(Fate::Mined { number: block_number.to(), hash: block_hash, succeeded });
        }
        let known: Option<wire::Transaction> =
            self.maybe("eth_getTransactionByHash", params, "a transaction")?;
        Ok(if known.is_some() { Fate::Waiting } else { Fate::Unknown })
    }

    /// Whom a transaction called, and with what.
    pub fn transaction_input(&self, hash: B256) -> Result<Option<(Address, Bytes)>, RpcError> {
        let shown: Option<wire::Transaction> =
            self.maybe("eth_getTransactionByHash", json!([hash]), "a transaction")?;
        let shown = shown.filter(|shown| shown.hash == hash);
        Ok(shown.and_then(|shown| shown.to.map(|to| (to, shown.input))))
    }

    /// The logs in these blocks, both ends included. Each is checked to be one that was asked for.
    pub fn logs(&self, query: &LogQuery, from: u64, to: u64) -> Result<Vec<Log>, RpcError> {
        let filter = json!({
            "address": query.address,
            "topics": [query.events, query.subject],
            "fromBlock": wire::hex(from),
            "toBlock": wire::hex(to),
        });
        let shown: Vec<wire::Log> = self.ask("eth_getLogs", json!([filter]), "logs")?;
        shown.into_iter().map(|log| checked_log(query, from, to, log)).collect()
    }
}

fn checked_log(query: &LogQuery, from: u64, to: u64, log: wire::Log) -> Result<Log, RpcError> {
    let method = "eth_getLogs".to_owned();
    let reply = RpcError::Reply { method, what: "logs that were asked for" };
    let (Some(number), Some(block_hash), Some(transaction), Some(index)) =
        (log.block_number, log.block_hash, log.transaction_hash, log.log_index)
    else {
        return Err(reply);
    };
    let number: u64 = number.to();
    let fits = log.address == query.address
        && log.topics.len() <= TOPICS_MAX
        && log.topics.first().is_some_and(|event| query.events.contains(event))
        && log.topics.get(1) == Some(&query.subject)
        && (from..=to).contains(&number)
        && !log.removed;
    if !fits {
        return Err(reply);
    }
    Ok(Log {
        address: log.address,
        topics: log.topics,
        data: log.data,
        block_number: number,
        block_hash,
        transaction,
        index: index.to(),
    })
}

fn read_params<C: SolCall>(to: Address, call: &C, at: At) -> Value {
    json!([{ "to": to, "data": Bytes::from(call.abi_encode()) }, at.json()])
}

fn decode<C: SolCall>(bytes: &Bytes) -> Result<C::Return, Error> {
    C::abi_decode_returns_validate(bytes).map_err(|_| Error::Malformed("contract's answer"))
}

fn typed<T: DeserializeOwned>(
    method: &str,
    what: &'static str,
    value: Value,
) -> Result<T, RpcError> {
    let method = method.to_owned();
    serde_json::from_value(value).map_err(|_| RpcError::Reply { method, what })
}

fn reverted(error: RpcError) -> Error {
    error.revert().map_or(Error::Rpc(error), Error::Reverted)
}
