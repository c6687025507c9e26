//! The words for what channels are made of: assets, phases, slots, participants.

use crate::report::Datum;
use crate::text::amount::{show_ckb, show_units};
use crate::text::hex;
use perun_channel::adjudicator::{Phase, Slot, SlotKind};
use perun_channel::{Address, Amount, Asset, BackendId};

const ETH_DECIMALS: u32 = 18;

/// An amount of an asset. The decimals of tokens are not known here, so theirs are smallest units.
pub(super) fn amount(asset: &Asset, amount: Amount) -> String {
    if asset.is_ckb_coin() {
        return show_ckb(amount.get());
    }
    if asset.backend() == BackendId::ETHEREUM {
        // The coin's holder is the hub, tokens have a holder each; which is which is not said here.
        let ether = show_units(amount.get(), ETH_DECIMALS);
        return format!(
            "{amount} units of {} ({ether} ETH, if that is the hub)",
            asset_name(asset)
        );
    }
    let unit = if amount.get() == 1 { "unit" } else { "units" };
    format!("{amount} {unit} of {}", asset_name(asset))
}

/// An asset's name, short.
pub(super) fn asset_name(asset: &Asset) -> String {
    if asset.is_ckb_coin() {
        return "CKB".to_owned();
    }
    match asset.ckb_type_hash() {
        Some(type_hash) => format!("token {}", hex::short(&type_hash)),
        None if asset.backend() == BackendId::ETHEREUM => format!(
            "the asset of {} on Ethereum chain {}",
            hex::short(asset.holder().as_bytes()),
            asset.chain()
        ),
        None => format!(
            "asset {} on chain {} of ledger kind {}",
            hex::short(asset.holder().as_bytes()),
            asset.chain(),
            asset.backend().get()
        ),
    }
}

/// An asset for programs.
pub(super) fn asset_datum(asset: &Asset) -> Datum {
    Datum::Record(vec![
        ("backend", u64::from(asset.backend().get()).into()),
        // As a text: the numbers of chains use all 64 bits.
        ("chain", asset.chain().to_string().into()),
        ("coin", asset.is_ckb_coin().into()),
        ("type_hash", asset.ckb_type_hash().map(|hash| hex::full(&hash)).into()),
        ("holder", asset.holder().to_string().into()),
    ])
}

/// A phase.
pub(super) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Funding => "funding",
        Phase::Open => "open",
        Phase::Disputed => "disputed",
        Phase::Concluded => "concluded",
    }
}

/// A right to register.
pub(super) fn slot(slot: Slot) -> String {
    let kind = match slot.kind {
        SlotKind::Own => "its own right",
        SlotKind::Delegate => "its delegate's right",
    };
    format!("participant {}, {kind} (slot {})", slot.participant, slot.number())
}

/// A participant by position, with its address where that is known.
pub(super) fn participant(index: usize, address: Option<&Address>) -> String {
    match address {
        Some(address) => format!("participant {index} ({})", hex::short(address.as_bytes())),
        None => format!("participant {index}"),
    }
}

/// The positions of the bits that are set.
pub(super) fn bits(marks: u32) -> impl Iterator<Item = u8> {
    (0..32_u8).filter(move |bit| marks >> bit & 1 == 1)
}

/// How many: `1 cell`, `2 cells`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A list in words: `a`, `a and b`, `a, b and c`; `none` of nothing.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_like_sentences() {
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(list(&[]), "none");
        assert_eq!(list(&items[..1]), "a");
        assert_eq!(list(&items[..2]), "a and b");
        assert_eq!(list(&items), "a, b and c");
    }

    #[test]
    fn coins_have_decimals_and_tokens_do_not() {
        assert_eq!(amount(&Asset::ckb(1), Amount::new(1_250_000_000)), "12.5 CKB");
        let token = Asset::ckb_token(1, &[0xab; 32]);
        assert_eq!(amount(&token, Amount::new(1_250)), "1250 units of token 0xababab…ababab");
        let ether = Asset::ethereum(31_337, Address::new([0xab; 20]));
        let shown = amount(&ether, Amount::new(4_000_000_000_000_000_000));
        assert!(shown.ends_with("on Ethereum chain 31337 (4 ETH, if that is the hub)"), "{shown}");
    }

    #[test]
    fn bits_are_positions() {
        assert_eq!(bits(0b1010_0001).collect::<Vec<_>>(), [0, 5, 7]);
        assert_eq!(bits(u32::MAX).count(), 32);
    }
}
