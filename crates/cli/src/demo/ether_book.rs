//! The bookkeeper of the Ethereum chain: tells each transaction of our people, and adds up what
//! they paid for gas, as the receipts say.

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde_json::{Value, json};

use super::ethereum::Ethereum;
use super::{Failure, words};
use crate::deed::Deed;
use crate::narrate::{EthereumTransaction, Narrator};

/// Reads the chain from where it stood when the book was opened.
pub(super) struct EtherBook {
    names: Vec<&'static str>,
    wallets: Vec<Address>,
    next: u64,
    /// What each wallet paid for gas, in wei.
    pub(super) fees: Vec<u128>,
    /// How many transactions there were.
    entries: usize,
    /// What each wallet had at first: wei, and units of the token.
    pub(super) started: Vec<[u128; 2]>,
}

impl EtherBook {
    /// The book of these people, each with a name and an account.
    pub(super) fn open(
        chain: &Ethereum,
        people: impl IntoIterator<Item = (&'static str, Address)>,
    ) -> Result<Self, Failure> {
        let (names, wallets): (_, Vec<_>) = people.into_iter().unzip();
        let next = chain.head()?.number.saturating_add(1);
        let started = wallets.iter().map(|wallet| chain.holdings(*wallet));
        let started = started.collect::<Result<_, _>>()?;
        Ok(Self { names, fees: vec![0; wallets.len()], entries: 0, wallets, next, started })
    }

    /// Reads new blocks, and tells the transactions in them.
    pub(super) fn read(
        &mut self,
        chain: &Ethereum,
        narrator: &mut dyn Narrator,
        name: &str,
    ) -> Result<(), Failure> {
        let head = chain.head()?.number;
        while self.next <= head {
            let number = json!([format!("{:#x}", self.next), true]);
            let block = ask(chain, "eth_getBlockByNumber", number)?;
            for tx in block["transactions"].as_array().into_iter().flatten() {
                self.note(chain, narrator, name, tx)?;
            }
            self.next += 1;
        }
        Ok(())
    }

    fn note(
        &mut self,
        chain: &Ethereum,
        narrator: &mut dyn Narrator,
        name: &str,
        tx: &Value,
    ) -> Result<(), Failure> {
        let from: Address = read(&tx["from"])?;
        let Some(place) = self.wallets.iter().position(|wallet| *wallet == from) else {
            return Ok(());
        };
        let hash: B256 = read(&tx["hash"])?;
        let receipt = ask(chain, "eth_getTransactionReceipt", json!([hash]))?;
        let (gas, price): (U64, U256) =
            (read(&receipt["gasUsed"])?, read(&receipt["effectiveGasPrice"])?);
        let fee = U256::from(gas.to::<u64>()).saturating_mul(price);
        let fee = u128::try_from(fee).map_err(words)?;
        self.fees[place] += fee;
        self.entries += 1;
        let (hash, gas, by) = (hash.0, gas.to(), self.names[place]);
        let input: Bytes = read(&tx["input"])?;
        let does = &*Deed::on_ethereum(&input);
        narrator.ethereum_transaction(&EthereumTransaction { name, by, does, hash, fee, gas });
        Ok(())
    }

    /// How many transactions our people had in blocks so far.
    pub(super) const fn entries(&self) -> usize {
        self.entries
    }

    /// What everybody gained beside the fees, by the position of the wallet: wei, and units of the
    /// token.
    pub(super) fn gains(&self, chain: &Ethereum) -> Result<Vec<[i128; 2]>, Failure> {
        let mut gains = Vec::new();
        for (place, wallet) in self.wallets.iter().enumerate() {
            let ([coins, tokens], [coins_then, tokens_then]) =
                (chain.holdings(*wallet)?, self.started[place]);
            let coins = signed(coins.saturating_add(self.fees[place]))? - signed(coins_then)?;
            gains.push([coins, signed(tokens)? - signed(tokens_then)?]);
        }
        Ok(gains)
    }
}

pub(super) fn signed(amount: u128) -> Result<i128, Failure> {
    i128::try_from(amount).map_err(words)
}

fn ask(chain: &Ethereum, method: &str, params: Value) -> Result<Value, Failure> {
    chain.node().0.request(method, params).map_err(words)
}

fn read<T: for<'de> serde::Deserialize<'de>>(value: &Value) -> Result<T, Failure> {
    serde_json::from_value(value.clone())
        .map_err(|error| format!("the Ethereum node's answer has another shape: {error}"))
}
