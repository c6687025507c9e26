//! Who owns how much of what: one row per asset, one column per participant, and amounts locked for
//! sub- and virtual channels. Money moves only through [`Allocation::transfer`], which conserves
//! every sum.

use alloc::vec::Vec;

use crate::codec::{self, Decode, DecodeError, Encode, Reader};
use crate::{
    Address, Amount, ChannelId, Invalid, MAX_ASSETS, MAX_FOREIGN_BYTES, MAX_LOCKED,
    MAX_PARTICIPANTS,
};

/// The number of a kind of ledger in signed bytes, as go-perun assigns them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(u32);

impl BackendId {
    /// Ethereum and its like.
    pub const ETHEREUM: Self = Self(1);
    /// Nervos CKB.
    pub const CKB: Self = Self(3);

    /// The backend with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// One asset on one ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asset {
    backend: BackendId,
    chain: u64,
    holder: Address,
    foreign: Vec<u8>,
}

impl Asset {
    /// The foreign bytes of the native coin of CKB.
    const CKB_COIN: &'static [u8] = &[0];
    /// The first foreign byte of a token on CKB; its type script hash follows.
    const CKB_TOKEN: u8 = 1;

    /// An asset in the form that is signed.
    pub fn new(
        backend: BackendId,
        chain: u64,
        holder: Address,
        foreign: Vec<u8>,
    ) -> Result<Self, Invalid> {
        if foreign.len() > MAX_FOREIGN_BYTES {
            return Err(Invalid::ForeignBytes);
        }
        Ok(Self { backend, chain, holder, foreign })
    }

    /// What an asset holder contract keeps on an Ethereum chain.
    #[must_use]
    pub fn ethereum(chain: u64, holder: Address) -> Self {
        Self { backend: BackendId::ETHEREUM, chain, holder, foreign: [0; 32].to_vec() }
    }

    /// The native coin of the CKB chain with this number.
    #[must_use]
    pub fn ckb(chain: u64) -> Self {
        Self {
            backend: BackendId::CKB,
            chain,
            holder: Address::ZERO,
            foreign: Self::CKB_COIN.to_vec(),
        }
    }

    /// A token on CKB, named by the hash of its full type script.
    #[must_use]
    pub fn ckb_token(chain: u64, type_hash: &[u8; 32]) -> Self {
        let mut foreign = Vec::with_capacity(33);
        foreign.push(Self::CKB_TOKEN);
        foreign.extend_from_slice(type_hash);
        Self { backend: BackendId::CKB, chain, holder: Address::ZERO, foreign }
    }

    /// The kind of ledger.
    #[must_use]
    pub const fn backend(&self) -> BackendId {
        self.backend
    }

    /// Which chain of that kind.
    #[must_use]
    pub const fn chain(&self) -> u64 {
        self.chain
    }

    /// The asset holder contract; zero off Ethereum.
    #[must_use]
    pub const fn holder(&self) -> &Address {
        &self.holder
    }

    /// The asset's name on a ledger that is not Ethereum.
    #[must_use]
    pub fn foreign(&self) -> &[u8] {
        &self.foreign
    }

    /// Whether this is the native coin of a CKB chain.
    #[must_use]
    pub fn is_ckb_coin(&self) -> bool {
        self.backend == BackendId::CKB
            && self.holder == Address::ZERO
            && self.foreign == Self::CKB_COIN
    }

    /// The type script hash, if this is a token on a CKB chain.
    #[must_use]
    pub fn ckb_type_hash(&self) -> Option<[u8; 32]> {
        if self.backend != BackendId::CKB || self.holder != Address::ZERO {
            return None;
        }
        let (tag, hash) = self.foreign.split_first()?;
        if *tag == Self::CKB_TOKEN { hash.try_into().ok() } else { None }
    }
}

impl Encode for Asset {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.backend.0.to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(self.holder.as_bytes());
        codec::put_bytes(out, &self.foreign);
    }
}

impl Decode for Asset {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let backend = BackendId(reader.u32()?);
        let chain = reader.u64()?;
        let holder = Address::new(reader.array()?);
        Ok(Self::new(backend, chain, holder, reader.bytes(MAX_FOREIGN_BYTES)?)?)
    }
}

/// Amounts set aside for one sub- or virtual channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubAlloc {
    id: ChannelId,
    balances: Vec<Amount>,
    index_map: Vec<u16>,
}

impl SubAlloc {
    /// Locks one amount per asset for channel `id`. `index_map[i]` is the participant of this
    /// channel who stands for participant `i` of the locked one; empty means the same order.
    #[must_use]
    pub const fn new(id: ChannelId, balances: Vec<Amount>, index_map: Vec<u16>) -> Self {
        Self { id, balances, index_map }
    }

    /// The locked channel.
    #[must_use]
    pub const fn id(&self) -> &ChannelId {
        &self.id
    }

    /// One amount per asset.
    #[must_use]
    pub fn balances(&self) -> &[Amount] {
        &self.balances
    }

    /// Which participant of this channel stands for each participant of the locked one.
    #[must_use]
    pub fn index_map(&self) -> &[u16] {
        &self.index_map
    }

    fn fits(&self, assets: usize, columns: usize) -> bool {
        self.balances.len() == assets
            && self.index_map.len() <= columns
            && self.index_map.iter().all(|index| usize::from(*index) < columns)
    }
}

impl Encode for SubAlloc {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        codec::put_list(out, &self.balances);
        codec::put_length(out, self.index_map.len());
        self.index_map.iter().for_each(|index| out.extend_from_slice(&index.to_le_bytes()));
    }
}

impl Decode for SubAlloc {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = ChannelId::decode(reader)?;
        let balances = reader.list(MAX_ASSETS)?;
        let count = reader.length(MAX_PARTICIPANTS)?;
        let index_map = (0..count).map(|_| reader.u16()).collect::<Result<_, _>>()?;
        Ok(Self { id, balances, index_map })
    }
}

/// The outcome of a state: every asset's balances and locked amounts. Always well-shaped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Allocation {
    assets: Vec<Asset>,
    balances: Vec<Vec<Amount>>,
    locked: Vec<SubAlloc>,
}

impl Allocation {
    /// An allocation of `balances[asset][participant]`, and locked amounts beside them.
    pub fn new(
        assets: Vec<Asset>,
        balances: Vec<Vec<Amount>>,
        locked: Vec<SubAlloc>,
    ) -> Result<Self, Invalid> {
        if !(1..=MAX_ASSETS).contains(&assets.len()) {
            return Err(Invalid::AssetCount);
        }
        if has_twins(&assets, |asset| asset) {
            return Err(Invalid::DuplicateAsset);
        }
        let columns = balances.first().map_or(0, Vec::len);
        if balances.len() != assets.len()
            || !(1..=MAX_PARTICIPANTS).contains(&columns)
            || balances.iter().any(|row| row.len() != columns)
        {
            return Err(Invalid::BalanceShape);
        }
        if locked.len() > MAX_LOCKED {
            return Err(Invalid::LockedCount);
        }
        if has_twins(&locked, SubAlloc::id) {
            return Err(Invalid::DuplicateLocked);
        }
        if locked.iter().any(|entry| !entry.fits(assets.len(), columns)) {
            return Err(Invalid::LockedShape);
        }
        let allocation = Self { assets, balances, locked };
        allocation.totals()?;
        Ok(allocation)
    }

    /// The assets, one per row.
    #[must_use]
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// The balances, `[asset][participant]`.
    #[must_use]
    pub fn balances(&self) -> &[Vec<Amount>] {
        &self.balances
    }

    /// The locked amounts.
    #[must_use]
    pub fn locked(&self) -> &[SubAlloc] {
        &self.locked
    }

    /// How many participants the balances are for.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.balances.first().map_or(0, Vec::len)
    }

    /// One balance, if the asset and the participant exist.
    #[must_use]
    pub fn balance(&self, asset: usize, participant: usize) -> Option<Amount> {
        self.balances.get(asset)?.get(participant).copied()
    }

    /// Per asset, all balances and locked amounts together.
    pub fn totals(&self) -> Result<Vec<Amount>, Invalid> {
        self.balances
            .iter()
            .enumerate()
            .map(|(row, balances)| {
                let locked = self.locked.iter().filter_map(|entry| entry.balances.get(row));
                Amount::checked_sum(balances.iter().chain(locked).copied()).ok_or(Invalid::Amount)
            })
            .collect()
    }

    /// The allocation after `from` gave `amount` of one asset to `to`. Every sum stays as it was.
    pub fn transfer(
        &self,
        from: usize,
        to: usize,
        asset: usize,
        amount: Amount,
    ) -> Result<Self, Invalid> {
        let mut next = self.clone();
        let row = next.balances.get_mut(asset).ok_or(Invalid::Index)?;
        let payer = row.get_mut(from).ok_or(Invalid::Index)?;
        *payer = payer.checked_sub(amount).ok_or(Invalid::Amount)?;
        let payee = row.get_mut(to).ok_or(Invalid::Index)?;
        *payee = payee.checked_add(amount).ok_or(Invalid::Amount)?;
        Ok(next)
    }
}

fn has_twins<T, K: PartialEq + ?Sized>(items: &[T], key: impl Fn(&T) -> &K) -> bool {
    items.iter().enumerate().any(|(position, one)| {
        items.iter().skip(position.saturating_add(1)).any(|other| key(other) == key(one))
    })
}

impl Encode for Allocation {
    fn encode(&self, out: &mut Vec<u8>) {
        codec::put_list(out, &self.assets);
        codec::put_length(out, self.columns());
        self.balances.iter().flatten().for_each(|amount| amount.encode(out));
        codec::put_list(out, &self.locked);
    }
}

impl Decode for Allocation {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let assets: Vec<Asset> = reader.list(MAX_ASSETS)?;
        let columns = reader.length(MAX_PARTICIPANTS)?;
        let balances = read_matrix(reader, assets.len(), columns)?;
        let locked = reader.list(MAX_LOCKED)?;
        Ok(Self::new(assets, balances, locked)?)
    }
}

/// Reads `rows` rows of `columns` amounts.
pub(crate) fn read_matrix(
    reader: &mut Reader<'_>,
    rows: usize,
    columns: usize,
) -> Result<Vec<Vec<Amount>>, DecodeError> {
    (0..rows).map(|_| (0..columns).map(|_| Amount::decode(reader)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn amounts<const N: usize>(numbers: [u128; N]) -> Vec<Amount> {
        numbers.map(Amount::new).to_vec()
    }

    fn coins(count: u64) -> Vec<Asset> {
        (0..count).map(Asset::ckb).collect()
    }

    fn entry(id: u8, balances: Vec<Amount>, map: Vec<u16>) -> SubAlloc {
        SubAlloc::new(ChannelId::new([id; 32]), balances, map)
    }

    fn with_locked(locked: Vec<SubAlloc>) -> Result<Allocation, Invalid> {
        Allocation::new(coins(1), vec![amounts([5, 6])], locked)
    }

    #[test]
    fn assets_are_one_to_sixteen() {
        let make = |count: usize| {
            let rows = vec![amounts([1, 1]); count];
            Allocation::new(coins(count.try_into().unwrap()), rows, vec![])
        };
        assert_eq!(make(0), Err(Invalid::AssetCount));
        assert_eq!(make(MAX_ASSETS + 1), Err(Invalid::AssetCount));
        assert!(make(1).is_ok() && make(MAX_ASSETS).is_ok());
    }

    #[test]
    fn no_asset_stands_twice() {
        let assets = vec![Asset::ckb(1), Asset::ckb(2), Asset::ckb(1)];
        let refused = Allocation::new(assets, vec![amounts([1, 1]); 3], vec![]);
        assert_eq!(refused, Err(Invalid::DuplicateAsset));
    }

    #[test]
    fn balances_are_a_full_matrix() {
        let shapes = [
            vec![],
            vec![vec![], vec![]],
            vec![amounts([1, 2])],
            vec![amounts([1, 2]); 3],
            vec![amounts([1, 2]), amounts([1])],
            vec![amounts([1, 2]), amounts([1, 2, 3])],
            vec![amounts([1; 17]); 2],
        ];
        for balances in shapes {
            let refused = Allocation::new(coins(2), balances.clone(), vec![]);
            assert_eq!(refused, Err(Invalid::BalanceShape), "{balances:?}");
        }
        assert!(Allocation::new(coins(2), vec![amounts([1; 16]); 2], vec![]).is_ok());
    }

    #[test]
    fn locked_entries_are_at_most_thirty_two() {
        let make =
            |count| with_locked((0..count).map(|id| entry(id, amounts([1]), vec![])).collect());
        assert!(make(32).is_ok());
        assert_eq!(make(33), Err(Invalid::LockedCount));
    }

    #[test]
    fn no_channel_is_locked_twice() {
        let twins = vec![
            entry(1, amounts([1]), vec![]),
            entry(2, amounts([1]), vec![]),
            entry(1, amounts([2]), vec![1, 0]),
        ];
        assert_eq!(with_locked(twins), Err(Invalid::DuplicateLocked));
    }

    #[test]
    fn locked_entries_fit_the_assets_and_the_participants() {
        let misfits = [
            entry(1, vec![], vec![]),
            entry(1, amounts([1, 1]), vec![]),
            entry(1, amounts([1]), vec![2]),
            entry(1, amounts([1]), vec![0, u16::MAX]),
            entry(1, amounts([1]), vec![0, 1, 0]),
        ];
        for misfit in misfits {
            let refused = with_locked(vec![misfit.clone()]);
            assert_eq!(refused, Err(Invalid::LockedShape), "{misfit:?}");
        }
        for map in [vec![], vec![1], vec![1, 0], vec![1, 1]] {
            assert!(with_locked(vec![entry(1, amounts([1]), map)]).is_ok());
        }
    }

    #[test]
    fn totals_stay_in_128_bits_with_what_is_locked() {
        let make = |row, locked| {
            let locked = vec![entry(1, amounts([locked]), vec![])];
            Allocation::new(coins(1), vec![amounts(row)], locked)
        };
        assert_eq!(make([u128::MAX, 1], 0), Err(Invalid::Amount));
        assert_eq!(make([u128::MAX - 1, 1], 1), Err(Invalid::Amount));
        let full = make([u128::MAX - 2, 1], 1).unwrap();
        assert_eq!(full.totals(), Ok(amounts([u128::MAX])));
    }

    #[test]
    fn a_transfer_moves_and_never_makes() {
        let before = with_locked(vec![entry(1, amounts([9]), vec![])]).unwrap();
        let after = before.transfer(0, 1, 0, Amount::new(5)).unwrap();
        assert_eq!(after.balances(), [amounts([0, 11])]);
        assert_eq!((after.locked(), after.totals()), (before.locked(), before.totals()));
        assert_eq!(before.transfer(0, 1, 0, Amount::new(6)), Err(Invalid::Amount));
    }

    /// Paying oneself must neither double nor lose, and still needs the money.
    #[test]
    fn a_transfer_to_oneself_changes_nothing() {
        let before = with_locked(vec![]).unwrap();
        assert_eq!(before.transfer(1, 1, 0, Amount::new(6)).as_ref(), Ok(&before));
        assert_eq!(before.transfer(1, 1, 0, Amount::new(7)), Err(Invalid::Amount));
    }

    #[test]
    fn ckb_assets_are_recognised_in_their_one_form() {
        let (coin, token) = (Asset::ckb(1), Asset::ckb_token(1, &[5; 32]));
        assert!(coin.is_ckb_coin() && coin.ckb_type_hash().is_none());
        assert!(!token.is_ckb_coin());
        assert_eq!(token.ckb_type_hash(), Some([5; 32]));
        let tagged = |tag: u8, length| [&[tag][..], &vec![5; length]].concat();
        let make = |backend, holder, foreign| Asset::new(backend, 1, holder, foreign).unwrap();
        let (ckb, nobody) = (BackendId::CKB, Address::ZERO);
        let strangers = [
            make(BackendId::ETHEREUM, nobody, vec![0]),
            make(BackendId::ETHEREUM, nobody, tagged(1, 32)),
            make(ckb, Address::new([1; 20]), vec![0]),
            make(ckb, Address::new([1; 20]), tagged(1, 32)),
            make(ckb, nobody, vec![]),
            make(ckb, nobody, vec![0, 0]),
            make(ckb, nobody, tagged(0, 32)),
            make(ckb, nobody, tagged(2, 32)),
            make(ckb, nobody, tagged(1, 31)),
            make(ckb, nobody, tagged(1, 33)),
        ];
        for asset in strangers {
            assert!(!asset.is_ckb_coin() && asset.ckb_type_hash().is_none(), "{asset:?}");
        }
    }

    #[test]
    fn foreign_bytes_are_limited() {
        let make = |length| Asset::new(BackendId::CKB, 1, Address::ZERO, vec![0; length]);
        assert!(make(MAX_FOREIGN_BYTES).is_ok());
        assert_eq!(make(MAX_FOREIGN_BYTES + 1), Err(Invalid::ForeignBytes));
    }
}
