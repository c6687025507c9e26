//! A real node over JSON-RPC.
//!
//! Each call of [`Rpc`] is one method of the node (two for [`Rpc::chain`]); each call of
//! [`DevControl`] needs the node's `IntegrationTest` module and its `Dummy` proof of work. Nothing
//! is cached and nothing is tried twice: callers know what a repeated call means for their money,
//! this does not.

use super::{
    BlockId, Cell, ChainIdentity, Cursor, DevControl, FEE_RATE_MIN, IndexedCell,
    MEDIAN_TIME_MAJORITY, PAGE_LIMIT_MAX, Page, Rpc, RpcError, SearchKey, Touch, TransactionLookup,
    View,
    transport::{Length, Transport},
    wire,
};
use ckb_jsonrpc_types as json;
use ckb_types::{
    H256,
    core::{BlockView, HeaderView, TransactionView},
    packed::{Byte32, OutPoint, ProposalShortId},
    prelude::*,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the node's parts may take to follow a new block. Normal is 30 ms.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(20);

/// How long the block template may take to hold what the pool has. Normal is 30 ms. A transaction
/// that no block can take now, since the clock was set back, is not waited for any longer.
const UPTAKE_TIME_MAX: Duration = Duration::from_secs(2);

/// How long to wait before asking again whether they have.
const SETTLE_POLL: Duration = Duration::from_millis(2);

/// A CKB node at an `http://` address.
#[derive(Debug)]
pub struct HttpRpc {
    transport: Transport,
}

impl HttpRpc {
    /// A client for the node at this address. Nothing is sent yet.
    pub fn new(url: &str) -> Result<Self, RpcError> {
        Ok(Self { transport: Transport::new(url)? })
    }

    /// A call that the trait does not have. The parameters are a JSON array.
    pub fn raw(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        self.transport.call_for(Length::Block, method, params)
    }

    fn header(&self, method: &str, key: Value) -> Result<Option<HeaderView>, RpcError> {
        let header: Option<json::HeaderView> = self.transport.call(method, &json!([key]))?;
        Ok(header.map(wire::header))
    }

    fn block(&self, method: &str, key: Value) -> Result<Option<BlockView>, RpcError> {
        let block: Option<json::BlockView> =
            self.transport.call_for(Length::Block, method, &json!([key]))?;
        Ok(block.map(wire::block))
    }
}

impl Rpc for HttpRpc {
    fn chain(&self) -> Result<ChainIdentity, RpcError> {
        #[derive(Deserialize)]
        struct Chain {
            chain: String,
        }
        let Chain { chain } = self.transport.call("get_blockchain_info", &json!([]))?;
        let genesis = self
            .block_by_number(0)?
            .ok_or_else(|| RpcError::Reply("a chain without a first block".to_owned()))?;
        Ok(ChainIdentity { name: chain, genesis })
    }

    fn tip_header(&self) -> Result<HeaderView, RpcError> {
        let header: json::HeaderView = self.transport.call("get_tip_header", &json!([]))?;
        Ok(wire::header(header))
    }

    fn header_by_number(&self, number: u64) -> Result<Option<HeaderView>, RpcError> {
        let header = self.header("get_header_by_number", hex(number))?;
        header.map(|it| wire::same_number(number, it.number()).map(|()| it)).transpose()
    }

    fn header_by_hash(&self, hash: &Byte32) -> Result<Option<HeaderView>, RpcError> {
        let header = self.header("get_header", hash_json(hash))?;
        header.map(|it| wire::same_hash(hash, &it.hash()).map(|()| it)).transpose()
    }

    fn block_by_number(&self, number: u64) -> Result<Option<BlockView>, RpcError> {
        let block = self.block("get_block_by_number", hex(number))?;
        block.map(|it| wire::same_number(number, it.number()).map(|()| it)).transpose()
    }

    fn block_by_hash(&self, hash: &Byte32) -> Result<Option<BlockView>, RpcError> {
        let block = self.block("get_block", hash_json(hash))?;
        block.map(|it| wire::same_hash(hash, &it.hash()).map(|()| it)).transpose()
    }

    fn send_transaction(&self, tx: &TransactionView) -> Result<Byte32, RpcError> {
        let params = json!([wire::tx_json(tx)?, "passthrough"]);
        let hash: H256 = self.transport.call("send_transaction", &params)?;
        let hash = Byte32::from(hash);
        wire::same_hash(&tx.hash(), &hash)?;
        Ok(hash)
    }

    fn transaction(&self, hash: &Byte32) -> Result<TransactionLookup, RpcError> {
        let lookup: wire::Lookup =
            self.transport.call_for(Length::Block, "get_transaction", &json!([hash_json(hash)]))?;
        lookup.read(hash)
    }

    fn live_cell(&self, out_point: &OutPoint, view: View) -> Result<Option<Cell>, RpcError> {
        let point = json::OutPoint::from(out_point.clone());
        let params = json!([point, true, view == View::WithPool]);
        let cell = self.transport.call_for(Length::Block, "get_live_cell", &params)?;
        wire::live_cell(out_point, cell)
    }

    fn cells(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<IndexedCell>, RpcError> {
        let params = page_params(wire::cell_search_key(key)?, after, limit)?;
        let rows: wire::Rows<wire::CellRow> =
            self.transport.call_for(Length::List, "get_cells", &params)?;
        rows.page(limit, |row| row.read(key))
    }

    fn transactions(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Touch>, RpcError> {
        key.check_history()?;
        let params = page_params(wire::search_key(key)?, after, limit)?;
        let rows: wire::Rows<wire::TouchRow> =
            self.transport.call_for(Length::List, "get_transactions", &params)?;
        rows.page(limit, |row| Ok(row.into()))
    }

    fn index_tip(&self) -> Result<BlockId, RpcError> {
        let tip: Option<wire::IndexTip> = self.transport.call("get_indexer_tip", &json!([]))?;
        tip.map(Into::into)
            .ok_or_else(|| RpcError::Transport("the node's index has no block yet".to_owned()))
    }

    fn pool(&self) -> Result<Vec<Byte32>, RpcError> {
        #[derive(Deserialize)]
        struct Pool {
            pending: Vec<H256>,
            proposed: Vec<H256>,
        }
        let pool: Pool =
            self.transport.call_for(Length::List, "get_raw_tx_pool", &json!([false]))?;
        Ok(pool.pending.into_iter().chain(pool.proposed).map(Into::into).collect())
    }

    fn fee_rate(&self) -> Result<u64, RpcError> {
        match self.transport.call::<json::Uint64>("estimate_fee_rate", &json!([null, true])) {
            Ok(rate) => Ok(rate.value().max(FEE_RATE_MIN)),
            // The node has no estimate yet, or its Experiment module is off.
            Err(RpcError::Rejected { .. }) => Ok(FEE_RATE_MIN),
            Err(error) => Err(error),
        }
    }

    fn estimate_cycles(&self, tx: &TransactionView) -> Result<u64, RpcError> {
        #[derive(Deserialize)]
        struct Estimate {
            cycles: json::Cycle,
        }
        let params = json!([wire::tx_json(tx)?]);
        let estimate: Estimate = self.transport.call("estimate_cycles", &params)?;
        Ok(estimate.cycles.into())
    }
}

impl DevControl for HttpRpc {
    fn mine(&self, blocks: u64) -> Result<HeaderView, RpcError> {
        for _ in 0..blocks {
            self.fresh_template()?;
            let _: H256 = self.transport.call("generate_block", &json!([]))?;
            self.settle()?;
        }
        self.tip_header()
    }

    fn mine_at(&self, timestamp_ms: u64) -> Result<HeaderView, RpcError> {
        self.block_at(timestamp_ms)?;
        self.settle()
    }

    fn advance(&self, seconds: u64) -> Result<HeaderView, RpcError> {
        let start = super::dev::advanced(self.tip_header()?.timestamp(), seconds)?;
        for block in 0..MEDIAN_TIME_MAJORITY {
            self.block_at(start.saturating_add(block))?;
            // Each block may commit what the one before made ready: let the pool follow.
            self.settle()?;
        }
        self.tip_header()
    }

    fn median_time(&self) -> Result<u64, RpcError> {
        let tip = self.tip_header()?;
        let median: Option<json::Timestamp> =
            self.transport.call("get_block_median_time", &json!([hash_json(&tip.hash())]))?;
        median
            .map(Into::into)
            .ok_or_else(|| RpcError::Reply("the tip has no median time".to_owned()))
    }

    fn rollback(&self, number: u64) -> Result<HeaderView, RpcError> {
        let target = self
            .header_by_number(number)?
            .ok_or_else(|| RpcError::Misuse(format!("there is no block {number} to go back to")))?;
        let () = self.transport.call("truncate", &json!([hash_json(&target.hash())]))?;
        self.poll("the pool did not follow the rollback", || {
            let tip = self.tip_header()?;
            Ok((tip.hash() == target.hash() && self.pool_tip()? == tip.hash()).then_some(tip))
        })
    }
}

/// Following the node's own parts. It answers a new block before all of them have seen it.
impl HttpRpc {
    /// Waits until the block template builds on the tip and has taken up the pool, and returns it.
    fn fresh_template(&self) -> Result<Value, RpcError> {
        let start = Instant::now();
        self.poll("the block template did not follow the tip", || {
            let template: Value =
                self.transport.call_for(Length::Block, "get_block_template", &json!([]))?;
            let plan = Plan::deserialize(&template)
                .map_err(|error| RpcError::Reply(format!("get_block_template: {error}")))?;
            let tip = self.tip_header()?.hash();
            if plan.parent_hash.as_bytes() != tip.as_slice() {
                return Ok(None);
            }
            let complete =
                self.takes_up_the_pool(&plan, &tip)? || start.elapsed() > UPTAKE_TIME_MAX;
            Ok(complete.then_some(template))
        })
    }

    /// Whether the next block commits or proposes everything in the pool but what the tip has just
    /// proposed, which no block can commit yet.
    fn takes_up_the_pool(&self, plan: &Plan, tip: &Byte32) -> Result<bool, RpcError> {
        let left = self.pool()?.into_iter().filter(|hash| !plan.has(hash));
        let left: Vec<_> = left.map(|hash| ProposalShortId::from_tx_hash(&hash)).collect();
        if left.is_empty() {
            return Ok(true);
        }
        let tip = self.block("get_block", hash_json(tip))?;
        let proposed = tip.map(|block| block.union_proposal_ids()).unwrap_or_default();
        Ok(left.iter().all(|id| proposed.contains(id)))
    }

    fn block_at(&self, timestamp_ms: u64) -> Result<(), RpcError> {
        let mut template = self.fresh_template()?;
        if let Some(fields) = template.as_object_mut() {
            fields.insert("current_time".to_owned(), hex(timestamp_ms));
        }
        let params = json!([template]);
        let _: H256 = self.transport.call("generate_block_with_template", &params)?;
        Ok(())
    }

    /// Waits until pool and indexer have seen the tip. After a rollback the indexer keeps the
    /// removed blocks until the chain is higher than it was; until then only the pool is waited
    /// for.
    fn settle(&self) -> Result<HeaderView, RpcError> {
        self.poll("pool and index did not follow the tip", || {
            let tip = self.tip_header()?;
            if self.pool_tip()? != tip.hash() {
                return Ok(None);
            }
            let index = self.index_tip()?;
            let left_behind = index.number >= tip.number() && index.hash != tip.hash();
            Ok((left_behind || index.hash == tip.hash()).then_some(tip))
        })
    }

    fn pool_tip(&self) -> Result<Byte32, RpcError> {
        #[derive(Deserialize)]
        struct PoolTip {
            tip_hash: H256,
        }
        let PoolTip { tip_hash } = self.transport.call("tx_pool_info", &json!([]))?;
        Ok(tip_hash.into())
    }

    fn poll<T>(
        &self,
        complaint: &str,
        ready: impl Fn() -> Result<Option<T>, RpcError>,
    ) -> Result<T, RpcError> {
        let start = Instant::now();
        loop {
            if let Some(value) = ready()? {
                return Ok(value);
            }
            if start.elapsed() > SETTLE_TIME_MAX {
                return Err(RpcError::Transport(complaint.to_owned()));
            }
            // The node offers no event for this over HTTP.
            std::thread::sleep(SETTLE_POLL);
        }
    }
}

/// What a block template says of the next block.
#[derive(Deserialize)]
struct Plan {
    parent_hash: H256,
    transactions: Vec<PlannedTx>,
    proposals: Vec<json::ProposalShortId>,
}

#[derive(Deserialize)]
struct PlannedTx {
    hash: H256,
}

impl Plan {
    fn has(&self, tx: &Byte32) -> bool {
        let id = json::ProposalShortId::from(ProposalShortId::from_tx_hash(tx));
        let mut committed = self.transactions.iter().map(|planned| planned.hash.as_bytes());
        self.proposals.contains(&id) || committed.any(|hash| hash == tx.as_slice())
    }
}

fn page_params(key: Value, after: Option<&Cursor>, limit: u32) -> Result<Value, RpcError> {
    if limit == 0 || limit > PAGE_LIMIT_MAX {
        return Err(RpcError::Misuse(format!("a page of {limit} rows; 1 to {PAGE_LIMIT_MAX}")));
    }
    let after = after.map(|cursor| json::JsonBytes::from_bytes(cursor.0.clone()));
    Ok(json!([key, "asc", hex(limit.into()), after]))
}

fn hex(number: u64) -> Value {
    Value::String(format!("{number:#x}"))
}

fn hash_json(hash: &Byte32) -> Value {
    json!(H256::from_slice(hash.as_slice()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A node that answers its first call with this result, whatever was asked.
    fn node_that_says(result: &Value) -> HttpRpc {
        node_that_writes(&result.to_string())
    }

    /// The same, with a result that need not be JSON.
    fn node_that_writes(result: &str) -> HttpRpc {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let body = format!(r#"{{"jsonrpc":"2.0","id":0,"result":{result}}}"#);
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            // Whoever does not read to the end closes first.
            let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
            let _ = stream.read(&mut request);
        });
        HttpRpc::new(&url).unwrap()
    }

    fn some_header() -> HeaderView {
        let epoch = ckb_types::core::EpochNumberWithFraction::new(1, 0, 10);
        ckb_types::core::HeaderBuilder::default().number(5u64).epoch(epoch).build()
    }

    #[test]
    fn a_header_is_held_to_the_hash_and_the_height_asked_for() {
        let header = some_header();
        let reply = json!(json::HeaderView::from(header.clone()));
        let found = node_that_says(&reply).header_by_hash(&header.hash()).unwrap();
        assert_eq!(found, Some(header));
        let other = node_that_says(&reply).header_by_hash(&Byte32::default());
        assert!(matches!(other, Err(RpcError::Reply(_))));
        let other = node_that_says(&reply).header_by_number(6);
        assert!(matches!(other, Err(RpcError::Reply(_))));
    }

    #[test]
    fn a_hash_is_computed_not_believed() {
        let header = some_header();
        let mut reply = json!(json::HeaderView::from(header.clone()));
        reply["timestamp"] = json!("0x1");
        let forged = node_that_says(&reply).header_by_hash(&header.hash());
        assert!(matches!(forged, Err(RpcError::Reply(_))));
    }

    #[test]
    fn a_cell_under_another_script_is_no_answer() {
        let row = json!({
            "output": { "capacity": "0x1", "type": null,
                "lock": { "code_hash": H256::default(), "hash_type": "data", "args": "0x01" } },
            "output_data": "0x",
            "out_point": { "tx_hash": H256::default(), "index": "0x0" },
            "block_number": "0x1",
            "tx_index": "0x0",
        });
        let reply = json!({ "objects": [row], "last_cursor": "0x" });
        let key = SearchKey::lock(ckb_types::packed::Script::default());
        let answer = node_that_says(&reply).cells(&key, None, 1);
        assert!(matches!(answer, Err(RpcError::Reply(_))), "{answer:?}");
    }

    #[test]
    fn what_is_no_json_rpc_is_no_answer() {
        for reply in [json!("text"), json!(null), json!([1]), json!({ "number": "0x1" })] {
            let answer = node_that_says(&reply).tip_header();
            assert!(matches!(answer, Err(RpcError::Reply(_))), "{answer:?}");
        }
    }

    #[test]
    fn a_result_of_another_type_is_refused_before_its_rest_is_read() {
        // Whoever builds a tree of everything first stumbles over the end, which is no JSON.
        let calls: [fn(&HttpRpc) -> Option<RpcError>; 3] = [
            |rpc| rpc.tip_header().err(),
            |rpc| rpc.block_by_number(1).err(),
            |rpc| rpc.pool().err(),
        ];
        for call in calls {
            let answer = call(&node_that_writes("[[[[0,0,0 and so on"));
            let Some(RpcError::Reply(text)) = answer else { panic!("{answer:?}") };
            assert!(text.contains("invalid type"), "{text}");
        }
    }

    #[test]
    fn a_reply_has_the_length_of_what_was_asked_for_or_is_not_read() {
        let long = |bytes: usize| format!("\"{}\"", "0".repeat(bytes));
        let refused = |result: String, call: fn(&HttpRpc) -> Option<RpcError>| {
            let answer = call(&node_that_writes(&result));
            matches!(answer, Some(RpcError::Transport(_)))
        };
        assert!(refused(long(256 << 10), |rpc| rpc.tip_header().err()));
        assert!(refused(long(8 << 20), |rpc| rpc.block_by_number(1).err()));
        assert!(!refused(long(1 << 20), |rpc| rpc.block_by_number(1).err()), "wrong, but read");
    }
}
