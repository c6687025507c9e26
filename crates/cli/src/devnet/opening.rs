//! What a client must know of the chain: where it is, what is on it, and who has money.

use super::Pace;
use crate::problem::Problem;
use crate::programs::{CHANNEL_TYPE, Programs, SIMPLE_UDT, VAULT_LOCK};
use crate::report::{Datum, Report};
use crate::text::amount::show_ckb;
use crate::text::{hex, time};
use ckb_types::{packed::OutPoint, prelude::*};
use perun_backend_ckb::rpc::{PAGE_LIMIT_MAX, Rpc, SearchKey};
use perun_embedded_ckb::{Chain, Deployed, testkit::Key};

/// The two keys that own money on every CKB dev chain, and the one that the blocks' rewards go to.
/// All the world knows them; they must never own anything on a public chain.
const KEYS: [(&str, &str); 3] = [
    ("first", "0xd00c06bfd800d27397002dca6fb0993d5ba6399b4238b2f29ee9deb97593d2bc"),
    ("second", "0x63d86723e08f0f813a36ce6aa123bb2289d90680ae1e99d4de8cdb334553f24d"),
    ("miner", "0x0000000000000000000000000000000000000000000000000000000000000001"),
];

pub(super) fn report(
    url: &str,
    chain: &Chain,
    programs: &Programs,
    pace: Pace,
) -> Result<Report, Problem> {
    let genesis = chain.genesis();
    let mut report = Report::new("devnet", "A CKB chain with Perun channels, in memory");
    report.fact("rpc", "RPC", url);
    report.fact("genesis", "genesis hash", hex::full(genesis.block().hash().as_slice()));
    report.fact("channel_type", "channel type", hex::full(&programs.env().channel_type));
    let blocks = match pace {
        Pace::Every(span) => format!("one every {}", time::duration(span.as_secs())),
        Pace::Instant => "one for each transaction, at once".to_owned(),
    };
    report.fact("blocks", "blocks", blocks);
    let scripts = [CHANNEL_TYPE, VAULT_LOCK, SIMPLE_UDT];
    let scripts = scripts.iter().filter_map(|name| genesis.cell(name)).map(script);
    report.parts("scripts", scripts.collect());
    let accounts = KEYS.iter().map(|(name, key)| account(name, key, chain));
    report.parts("accounts", accounts.collect::<Result<_, _>>()?);
    Ok(report)
}

fn script(deployed: &Deployed) -> Report {
    let mut report = Report::new("script", format!("Program {}", deployed.name));
    report.name(&deployed.name);
    report.fact("code_hash", "code hash", hex::full(deployed.data_hash.as_slice()));
    report.fact("hash_type", "hash type", "data2");
    let OutPointParts { tx_hash, index } = parts(&deployed.out_point);
    let datum = Datum::Record(vec![("tx_hash", tx_hash.clone().into()), ("index", index.into())]);
    report.fact_as("out_point", "out point", format!("{tx_hash}:{index}"), datum);
    report
}

struct OutPointParts {
    tx_hash: String,
    index: u64,
}

fn parts(out_point: &OutPoint) -> OutPointParts {
    let index: u32 = out_point.index().unpack();
    OutPointParts { tx_hash: hex::full(out_point.tx_hash().as_slice()), index: index.into() }
}

fn account(name: &'static str, key: &str, chain: &Chain) -> Result<Report, Problem> {
    let mut report =
        Report::new("account", format!("Account: {name} dev key (public, for tests only)"));
    report.name(name);
    let secret = hex::parse(key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let Some(key) = secret.and_then(Key::new) else {
        return Err(Problem::Chain(format!("the {name} dev key is malformed")));
    };
    let lock = key.lock(chain.genesis());
    report.fact("private_key", "private key", hex::full(&secret.unwrap_or_default()));
    report.fact("lock_args", "lock args", hex::full(&key.hash()));
    report.fact("lock_hash", "lock hash", hex::full(lock.calc_script_hash().as_slice()));
    let mut balance: u128 = 0;
    for row in chain.cells(&SearchKey::lock(lock), None, PAGE_LIMIT_MAX)?.rows {
        let capacity: u64 = row.cell.output.capacity().into();
        balance = balance.saturating_add(capacity.into());
    }
    report.fact_as("capacity", "has", show_ckb(balance), balance.to_string());
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_keys_are_the_ones_that_own_the_money() {
        let keys: Vec<Vec<u8>> = KEYS.iter().map(|(_, key)| hex::parse(key).unwrap()).collect();
        let hash = |bytes: &[u8]| Key::new(bytes.try_into().unwrap()).unwrap().hash();
        assert_eq!(hash(&keys[0]), Key::dev(false).hash());
        assert_eq!(hash(&keys[1]), Key::dev(true).hash());
        assert_eq!(hash(&keys[2]), perun_embedded_ckb::MINER_ARGS);
    }

    #[test]
    fn a_client_finds_everything_in_the_report() {
        let programs = Programs::built_in();
        let chain = Chain::new(&programs.genesis().unwrap());
        let json = report("http://127.0.0.1:1", &chain, &programs, Pace::Instant).unwrap().json();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["rpc"], "http://127.0.0.1:1");
        for (index, name) in [CHANNEL_TYPE, VAULT_LOCK, SIMPLE_UDT].into_iter().enumerate() {
            let script = &json["scripts"][index];
            assert_eq!(script["name"], name);
            let deployed = chain.genesis().cell(name).unwrap();
            let parts = parts(&deployed.out_point);
            assert_eq!(script["out_point"]["tx_hash"], parts.tx_hash);
            assert_eq!(script["out_point"]["index"], parts.index);
        }
        // Twenty billion CKB of the dev chain.
        assert_eq!(json["accounts"][0]["capacity"], "2000000000000000000");
    }
}
