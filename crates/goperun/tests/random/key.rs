//! The key of `vectors/goperun-wire-key.json`, with what go-perun makes of it.

use perun_channel::BackendId;
use perun_goperun::Own;
use perun_goperun::simple::Account;

/// A field of the file, as bytes.
pub(crate) fn told(field: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/goperun-wire-key.json");
    let file: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = file[field].as_str().unwrap();
    if field == "name" {
        return text.as_bytes().to_vec();
    }
    unhex(text)
}

/// The bytes of a hexadecimal text.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(|pair| byte(pair.as_slice())).collect()
}

/// An account with that key, under any name.
pub(crate) fn account(name: &str) -> Account {
    Account::new(name, &told("pkcs8")).unwrap()
}

/// A node's name on Ethereum.
pub(crate) fn own(name: &str) -> Own {
    Own::new(&[(BackendId::ETHEREUM, &account(name))]).unwrap()
}
