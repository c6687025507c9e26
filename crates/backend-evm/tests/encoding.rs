//! What is said to the contracts against what `perun-channel` hashes, and against the vectors.

use alloy_primitives::{Address as EthAddress, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolStruct, SolValue};
use perun_backend_evm::Error;
use perun_backend_evm::abi::{self, convert, eth, funding_id, solidity as sol};
use perun_channel::{
    Address, Allocation, Amount, Asset, BackendId, ChannelId, Params, Participant, State, SubAlloc,
    Version,
};
use serde_json::Value;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/ethereum.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    value.as_str().unwrap().parse::<Bytes>().unwrap().to_vec()
}

fn word(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

fn address(value: &Value) -> Address {
    Address::new(bytes(value).try_into().unwrap())
}

fn number(value: &Value) -> u128 {
    value.as_str().map_or_else(|| value.as_u64().unwrap().into(), |text| text.parse().unwrap())
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(read).collect()
}

fn amounts(value: &Value) -> Vec<Amount> {
    list(value, |amount| Amount::new(number(amount)))
}

fn participant(value: &Value) -> Participant {
    Participant::new(address(&value["address"]), bytes(&value["foreign"])).unwrap()
}

fn params(row: &Value) -> Params {
    let flag = |name: &str| row[name].as_bool().unwrap();
    Params::with_kind(
        number(&row["challenge_secs"]).try_into().unwrap(),
        word(&row["nonce"]),
        list(&row["participants"], participant),
        address(&row["app"]),
        flag("is_ledger"),
        flag("is_virtual"),
    )
    .unwrap()
}

fn state(row: &Value) -> State {
    let asset = |asset: &Value| {
        let backend = BackendId::new(number(&asset["backend"]).try_into().unwrap());
        let chain = number(&asset["chain"]).try_into().unwrap();
        Asset::new(backend, chain, address(&asset["holder"]), bytes(&asset["foreign"])).unwrap()
    };
    let locked = |entry: &Value| {
        let map = list(&entry["index_map"], |index| u16::try_from(number(index)).unwrap());
        SubAlloc::new(ChannelId::new(word(&entry["id"])), amounts(&entry["balances"]), map)
    };
    let outcome = &row["outcome"];
    let outcome = Allocation::new(
        list(&outcome["assets"], asset),
        list(&outcome["balances"], amounts),
        list(&outcome["locked"], locked),
    )
    .unwrap();
    let version = Version::new(number(&row["version"]).try_into().unwrap());
    let is_final = row["is_final"].as_bool().unwrap();
    let id = ChannelId::new(word(&row["id"]));
    State::new(id, version, outcome, bytes(&row["data"]), is_final).unwrap()
}

#[test]
fn parameters_are_encoded_as_they_are_hashed() {
    let vectors = vectors();
    let rows = vectors["params"].as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let params = params(row);
        let encoded = convert::params(&params).abi_encode();
        assert_eq!(encoded, perun_channel::abi::params(&params), "{}", row["name"]);
        assert_eq!(encoded, bytes(&row["abi"]), "{}", row["name"]);
        assert_eq!(keccak256(&encoded).0, word(&row["id"]), "{}", row["name"]);
        let shown = sol::Params::abi_decode_validate(&encoded).unwrap();
        assert_eq!(convert::read_params(&shown), Ok(params));
    }
}

#[test]
fn states_are_encoded_as_they_are_hashed_and_read_back() {
    let vectors = vectors();
    let rows = vectors["states"].as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let state = state(row);
        let encoded = convert::state(&state).abi_encode();
        assert_eq!(encoded, perun_channel::abi::state(&state), "{}", row["name"]);
        assert_eq!(encoded, bytes(&row["abi"]), "{}", row["name"]);
        assert_eq!(keccak256(&encoded).0, word(&row["hash"]), "{}", row["name"]);
        if !row["logged"].is_null() {
            let id = abi::word(state.id());
            let logged = abi::packed::state(&id, &bytes(&row["logged"]));
            assert_eq!(logged, Some(encoded.clone()), "{}", row["name"]);
        }
        let read = convert::read_state_bytes(&encoded).unwrap();
        assert_eq!(read.hash(), state.hash(), "{}", row["name"]);
        assert_eq!(read.outcome().balances(), state.outcome().balances());
    }
}

#[test]
fn deposits_have_the_names_of_the_vectors() {
    let vectors = vectors();
    for row in vectors["funding"].as_array().unwrap() {
        let (id, owner) = (bytes(&row["abi"])[..32].to_vec(), bytes(&row["abi"])[44..].to_vec());
        let id = ChannelId::new(id.try_into().unwrap());
        let name = funding_id(&id, &Address::new(owner.try_into().unwrap()));
        assert_eq!(name.0, word(&row["id"]));
    }
}

#[test]
fn withdrawals_are_hashed_as_in_the_vectors() {
    let vectors = vectors();
    let rows = vectors["withdrawals"].as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let abi = sol::WithdrawalAuth::abi_decode_validate(&bytes(&row["abi"])).unwrap();
        let owner = Address::new(abi.participant.ethAddress.into_array());
        let owner = Participant::new(owner, abi.participant.ccAddress.to_vec()).unwrap();
        let id = ChannelId::new(abi.channelID.0);
        let (auth, digest) = convert::withdrawal_auth(&id, &owner, abi.receiver, abi.amount);
        assert_eq!(auth.abi_encode(), bytes(&row["abi"]));
        assert_eq!(digest.0, word(&row["digest"]));
    }
}

fn plain() -> State {
    let rows = vectors();
    let rows = rows["states"].as_array().unwrap();
    rows.iter().map(state).find(|state| !state.outcome().locked().is_empty()).unwrap()
}

/// Whatever one bit of it says, an encoding is refused or is another state: no two encodings are
/// the same state.
#[test]
fn a_changed_encoding_is_never_the_same_state() {
    let state = plain();
    let encoded = perun_channel::abi::state(&state);
    for bit in 0..encoded.len() * 8 {
        let mut other = encoded.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        if let Ok(read) = convert::read_state_bytes(&other) {
            assert_ne!(read.hash(), state.hash(), "bit {bit}");
        }
    }
    for length in 0..encoded.len() {
        assert!(convert::read_state_bytes(&encoded[..length]).is_err(), "{length}");
    }
    assert!(convert::read_state_bytes(&[&encoded[..], &[0; 32]].concat()).is_err());
}

#[test]
fn shapes_and_numbers_that_no_channel_has_are_refused() {
    let healthy = convert::state(&plain());
    assert!(convert::read_state(&healthy).is_ok());
    let large = U256::from(u128::MAX) + U256::from(1);
    type Spoil = fn(&mut sol::State, U256);
    let spoilt: [(&str, Spoil); 11] = [
        ("balance", |state, large| state.outcome.balances[0][0] = large),
        ("sum", |state, large| state.outcome.balances[0][0] = large - U256::from(1)),
        ("locked", |state, large| state.outcome.locked[0].balances[0] = large),
        ("chain", |state, _| {
            state.outcome.assets[0].chainID = U256::from(u64::MAX) + U256::from(1)
        }),
        ("backend", |state, _| state.outcome.backends[0] = U256::from(u64::MAX)),
        ("backends", |state, _| state.outcome.backends.truncate(0)),
        ("rows", |state, _| state.outcome.balances.truncate(0)),
        ("columns", |state, _| state.outcome.balances[0].truncate(1)),
        ("map", |state, _| state.outcome.locked[0].indexMap.truncate(1)),
        ("data", |state, _| state.appData = vec![0; 1_025].into()),
        ("foreign", |state, _| state.outcome.assets[0].ccHolder = vec![0; 129].into()),
    ];
    for (name, spoil) in spoilt {
        let mut state = healthy.clone();
        spoil(&mut state, large);
        assert!(convert::read_state(&state).is_err(), "{name}");
    }
    let mut many = healthy;
    many.outcome.locked = vec![many.outcome.locked[0].clone(); 33];
    assert_eq!(convert::read_state(&many), Err(Error::Malformed("list of locked channels")));
}

#[test]
fn signatures_are_whole_strict_and_few() {
    assert_eq!(convert::read_signatures(&[]), Ok(vec![]));
    assert!(convert::read_signatures(&[27; 64]).is_err());
    assert!(convert::read_signatures(&[0xff; 65]).is_err(), "a high s");
    let mut one = [1; 65];
    one[64] = 28;
    assert_eq!(convert::read_signatures(&one.repeat(16)).unwrap().len(), 16);
    assert!(convert::read_signatures(&one.repeat(17)).is_err());
}

/// The types as the contracts' interface spells them: a field more or less is another digest.
#[test]
fn typed_messages_are_those_of_the_contracts() {
    let spelt: [(std::borrow::Cow<'_, str>, &str); 5] = [
        (
            sol::WithdrawalV2::eip712_encode_type(),
            "WithdrawalV2(bytes32 channelID,address holder,address participant,address receiver,\
             uint256 amount,uint256 fee,uint256 nonce,uint256 deadline)",
        ),
        (
            sol::CreditWithdrawal::eip712_encode_type(),
            "CreditWithdrawal(address account,address holder,address receiver,uint256 amount,\
             uint256 nonce,uint256 deadline)",
        ),
        (
            sol::DepositIntent::eip712_encode_type(),
            "DepositIntent(bytes32 channelID,bytes32 fundingID,address holder,uint256 amount,\
             uint8 source,address owner,uint256 nonce,uint256 deadline)",
        ),
        (
            sol::PayeeBinding::eip712_encode_type(),
            "PayeeBinding(bytes32 channelID,address participant,address payee,uint256 deadline)",
        ),
        (
            sol::ConsentSpend::eip712_encode_type(),
            "ConsentSpend(bytes32 channelID,Move[] moves,uint256 deadline)\
             Move(address holder,address to,bytes32 fundingID,uint256 amount)",
        ),
    ];
    for (ours, theirs) in spelt {
        assert_eq!(ours, theirs);
    }
    let permit2 = sol::PermitWitnessTransferFrom::eip712_encode_type();
    assert!(permit2.starts_with(
        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,\
         uint256 deadline,ChannelDeposit witness)ChannelDeposit(bytes32 channelID,bytes32 \
         fundingID)TokenPermissions(address token,uint256 amount)"
    ));
}

#[test]
fn addresses_and_words_go_there_and_back() {
    let address = Address::new([0x5a; 20]);
    assert_eq!(eth(&address), EthAddress::repeat_byte(0x5a));
    assert_eq!(abi::party(eth(&address)), address);
    assert_eq!(abi::word(&ChannelId::new([9; 32])), B256::repeat_byte(9));
}

/// The canonical type of a parameter, tuples spelt out.
fn kind(parameter: &Value) -> String {
    let name = parameter["type"].as_str().unwrap();
    match name.strip_prefix("tuple") {
        None => name.to_owned(),
        Some(rest) => format!("({}){rest}", list(&parameter["components"], kind).join(",")),
    }
}

/// Everything that is said to the contracts and read from them is in the compiled ones.
#[test]
fn the_bindings_are_those_of_the_committed_contracts() {
    use alloy_sol_types::SolEventInterface;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../onchain/evm/artifacts/PerunHub.json");
    let artifact: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let signatures = |wanted: &str| -> Vec<String> {
        let items = artifact["abi"].as_array().unwrap().iter();
        let items = items.filter(|item| item["type"] == wanted);
        let spelt = |item: &Value| {
            let inputs = list(&item["inputs"], kind).join(",");
            format!("{}({inputs})", item["name"].as_str().unwrap())
        };
        items.map(spelt).collect()
    };
    let selectors = |wanted: &str| -> Vec<[u8; 4]> {
        let hash = |signature: &String| *keccak256(signature).first_chunk().unwrap();
        signatures(wanted).iter().map(hash).collect()
    };
    let functions = selectors("function");
    for (name, selector) in sol::Hub::HubCalls::SELECTORS.iter().enumerate() {
        assert!(functions.contains(selector), "function {name}");
    }
    let events: Vec<B256> = signatures("event").iter().map(keccak256).collect();
    assert_eq!(sol::Hub::HubEvents::COUNT, 5);
    for topic in sol::Hub::HubEvents::SELECTORS {
        assert!(events.contains(&B256::new(*topic)), "event {topic:?}");
    }
    let mut ours = sol::HubErrors::HubErrorsErrors::SELECTORS.to_vec();
    let mut theirs = selectors("error");
    ours.sort_unstable();
    theirs.sort_unstable();
    theirs.retain(|selector| ours.contains(selector));
    assert_eq!(ours, theirs, "every error of ours is one of the hub's");
}
