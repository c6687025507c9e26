//! A node that misbehaves as it is told.

use std::sync::{Arc, Mutex};

use perun_backend_evm::rpc::{Rpc, RpcError};
use serde_json::Value;

use super::TestChain;

type Answer = Option<Result<Value, RpcError>>;
type Fault = dyn FnMut(&str, &Value, &dyn Rpc) -> Answer + Send;

/// Asks a chain, unless its fault answers first.
pub(crate) struct Faulty {
    chain: Arc<dyn TestChain>,
    fault: Mutex<Box<Fault>>,
}

impl Faulty {
    pub(crate) fn new(
        chain: Arc<dyn TestChain>,
        fault: impl FnMut(&str, &Value, &dyn Rpc) -> Answer + Send + 'static,
    ) -> Self {
        Self { chain, fault: Mutex::new(Box::new(fault)) }
    }

    /// A chain that is not reached for one method.
    pub(crate) fn without(chain: Arc<dyn TestChain>, broken: &'static str) -> Self {
        let gone = || Err(RpcError::Transport("the connection timed out".to_owned()));
        Self::new(chain, move |method, _, _| (method == broken).then(gone))
    }
}

impl Rpc for Faulty {
    fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let mut fault = self.fault.lock().unwrap();
        match fault(method, &params, self.chain.as_ref()) {
            Some(answer) => answer,
            None => self.chain.request(method, params),
        }
    }
}
