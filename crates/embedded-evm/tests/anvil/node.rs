//! A chain that can be asked: the embedded one, or Anvil over HTTP.

use perun_embedded_evm::anvil::Anvil;
use perun_embedded_evm::{Chain, Hardfork, Options};
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: i64,
    // Read in what a failed comparison prints.
    #[allow(dead_code, reason = "for people")]
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

pub(crate) type Answer = Result<Value, Refused>;

pub(crate) trait Node {
    fn ask(&self, method: &str, params: Value) -> Answer;
}

impl Node for Chain {
    fn ask(&self, method: &str, params: Value) -> Answer {
        self.request(method, params).map_err(|refusal| Refused {
            code: refusal.code,
            message: refusal.message,
            data: refusal.data.map(|data| json!(data)),
        })
    }
}

pub(crate) fn start_anvil(options: &Options) -> Anvil {
    let program = Anvil::program().expect("PERUN_ANVIL_BIN must name the program `anvil`");
    let hardfork = match options.hardfork {
        Hardfork::Prague => "prague",
        Hardfork::Osaka => "osaka",
    };
    let numbers = [
        ("--chain-id", options.chain_id),
        ("--timestamp", options.genesis_time),
        ("--base-fee", options.base_fee),
        ("--gas-limit", options.block_gas_limit),
    ];
    let numbers = numbers.map(|(name, number)| format!("{name}={number}"));
    let mut arguments = vec!["--no-mining", "--order", "fees", "--hardfork", hardfork];
    arguments.extend(numbers.iter().map(String::as_str));
    Anvil::start(&program, &arguments).expect("PERUN_ANVIL_BIN cannot be started")
}

impl Node for Anvil {
    fn ask(&self, method: &str, params: Value) -> Answer {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let reply = ureq::post(self.url())
            .header("content-type", "application/json")
            .send(call.to_string())
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
        let mut reply: Value = serde_json::from_str(&reply).unwrap();
        match reply.get("error") {
            None => Ok(reply["result"].take()),
            Some(error) => Err(Refused {
                code: error["code"].as_i64().unwrap(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
                data: error.get("data").cloned(),
            }),
        }
    }
}
