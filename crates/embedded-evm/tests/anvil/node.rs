//! A chain that can be asked: the embedded one, or Anvil over HTTP.

use perun_embedded_evm::{Chain, Hardfork, Options};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

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

/// A running Anvil; it ends when this is dropped.
pub(crate) struct Anvil {
    child: Child,
    url: String,
}

impl Anvil {
    pub(crate) fn start(options: &Options) -> Self {
        let program = std::env::var_os("PERUN_ANVIL_BIN")
            .expect("PERUN_ANVIL_BIN must name the program `anvil`");
        let hardfork = match options.hardfork {
            Hardfork::Prague => "prague",
            Hardfork::Osaka => "osaka",
        };
        let mut child = Command::new(program)
            .args(["--port", "0", "--no-mining", "--order", "fees", "--hardfork", hardfork])
            .args(["--chain-id", &options.chain_id.to_string()])
            .args(["--timestamp", &options.genesis_time.to_string()])
            .args(["--base-fee", &options.base_fee.to_string()])
            .args(["--gas-limit", &options.block_gas_limit.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("PERUN_ANVIL_BIN cannot be started");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("Listening on ")?.trim().to_owned()))
            .expect("Anvil ended before it listened");
        // Whoever stops reading stops the writer.
        std::thread::spawn(move || lines.count());
        Self { child, url: format!("http://{address}") }
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node for Anvil {
    fn ask(&self, method: &str, params: Value) -> Answer {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let reply = ureq::post(&self.url)
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
