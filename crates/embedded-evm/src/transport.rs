//! The chain as a transport of alloy.
//!
//! A client or provider over it does not know that there is no network. The invariant: requests and
//! answers are the same JSON as over HTTP, and calls are answered in the order in which they come.

use crate::chain::Chain;
use crate::faults::{Faults, Misbehaved};
use crate::refusal::Refusal;
use alloy_json_rpc::{
    ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest,
};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use serde_json::Value;
use serde_json::value::to_raw_value;
use std::task::{Context, Poll};

/// A transport to a chain in this process. Cheap to clone; clones lead to the same chain.
#[derive(Clone, Debug)]
pub struct EvmTransport {
    chain: Chain,
    faults: Faults,
}

impl EvmTransport {
    pub(crate) fn new(chain: Chain, faults: Faults) -> Self {
        Self { chain, faults }
    }

    async fn answer(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        match packet {
            RequestPacket::Single(request) => {
                Ok(ResponsePacket::Single(self.answer_one(&request).await?))
            }
            RequestPacket::Batch(requests) => {
                let mut responses = Vec::with_capacity(requests.len());
                for request in &requests {
                    responses.push(self.answer_one(request).await?);
                }
                Ok(ResponsePacket::Batch(responses))
            }
        }
    }

    async fn answer_one(&self, request: &SerializedRequest) -> Result<Response, TransportError> {
        let params = match request.params() {
            None => Value::Null,
            Some(raw) => serde_json::from_str(raw.get()).map_err(TransportError::ser_err)?,
        };
        let answered = match self.faults.answer(&self.chain, request.method(), params) {
            Misbehaved::Answer(answered) => answered,
            Misbehaved::Never => std::future::pending().await,
            Misbehaved::Broken(what) => return Err(TransportErrorKind::custom_str(what)),
            Misbehaved::Status(status) => {
                return Err(TransportErrorKind::http_error(status, String::new()));
            }
        };
        let payload = match answered {
            Ok(result) => {
                ResponsePayload::Success(to_raw_value(&result).map_err(TransportError::ser_err)?)
            }
            Err(Refusal { code, message, data }) => {
                let data = data.map(|data| to_raw_value(&data)).transpose();
                let data = data.map_err(TransportError::ser_err)?;
                ResponsePayload::Failure(ErrorPayload { code, message: message.into(), data })
            }
        };
        Ok(Response { id: request.id().clone(), payload })
    }
}

impl tower::Service<RequestPacket> for EvmTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().answer(packet))
    }
}
