//! Accounts, code and storage after some block.
//!
//! Persistent maps: a copy shares everything that it has in common with the original, so every
//! block can keep its own state and going back is taking an older copy. The invariant: an account
//! that is empty in the protocol's sense is not there, and slots that are zero are not there,
//! because the state root counts what is there.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount};
use revm::database_interface::DatabaseRef;
use revm::state::{AccountInfo, Bytecode, EvmState};
use rpds::HashTrieMapSync;
use std::convert::Infallible;

/// One account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) balance: U256,
    pub(crate) nonce: u64,
    code_hash: B256,
    storage: HashTrieMapSync<U256, U256>,
    /// Of the storage as it is, if it was computed since the last change.
    storage_root: Option<B256>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            balance: U256::ZERO,
            nonce: 0,
            code_hash: KECCAK_EMPTY,
            storage: HashTrieMapSync::new_sync(),
            storage_root: Some(EMPTY_ROOT_HASH),
        }
    }
}

/// All accounts.
#[derive(Clone, Debug)]
pub(crate) struct World {
    accounts: HashTrieMapSync<Address, Account>,
    codes: HashTrieMapSync<B256, Bytecode>,
    /// Of the accounts as they are, if it was computed since the last change.
    root: Option<B256>,
}

impl World {
    pub(crate) fn new<'a>(balances: impl IntoIterator<Item = (&'a Address, &'a U256)>) -> Self {
        let mut world = Self {
            accounts: HashTrieMapSync::new_sync(),
            codes: HashTrieMapSync::new_sync(),
            root: None,
        };
        for (address, balance) in balances {
            world.set_balance(*address, *balance);
        }
        world
    }

    pub(crate) fn account(&self, address: &Address) -> Option<&Account> {
        self.accounts.get(address)
    }

    pub(crate) fn balance(&self, address: &Address) -> U256 {
        self.account(address).map_or(U256::ZERO, |account| account.balance)
    }

    pub(crate) fn nonce(&self, address: &Address) -> u64 {
        self.account(address).map_or(0, |account| account.nonce)
    }

    pub(crate) fn code(&self, address: &Address) -> Option<&Bytecode> {
        self.codes.get(&self.account(address)?.code_hash)
    }

    pub(crate) fn slot(&self, address: &Address, slot: &U256) -> U256 {
        let slot = self.account(address).and_then(|account| account.storage.get(slot));
        slot.copied().unwrap_or_default()
    }

    pub(crate) fn set_balance(&mut self, address: Address, balance: U256) {
        let mut account = self.account(&address).cloned().unwrap_or_default();
        account.balance = balance;
        self.put(address, account);
    }

    fn put(&mut self, address: Address, account: Account) {
        self.root = None;
        let empty =
            account.balance.is_zero() && account.nonce == 0 && account.code_hash == KECCAK_EMPTY;
        if empty {
            self.accounts.remove_mut(&address);
        } else {
            self.accounts.insert_mut(address, account);
        }
    }

    /// Takes over what a transaction changed.
    pub(crate) fn commit(&mut self, changes: EvmState) {
        for (address, change) in changes {
            if !change.is_touched() {
                continue;
            }
            if change.is_selfdestructed() {
                self.put(address, Account::default());
                continue;
            }
            let mut account = self.account(&address).cloned().unwrap_or_default();
            account.balance = change.info.balance;
            account.nonce = change.info.nonce;
            account.code_hash = change.info.code_hash;
            if let Some(code) = change.info.code.filter(|code| !code.is_empty()) {
                self.codes.insert_mut(account.code_hash, code);
            }
            for (slot, value) in change.storage.iter().filter(|(_, value)| value.is_changed()) {
                account.storage_root = None;
                match value.present_value.is_zero() {
                    true => account.storage.remove_mut(slot),
                    false => {
                        account.storage.insert_mut(*slot, value.present_value);
                        true
                    }
                };
            }
            self.put(address, account);
        }
    }

    /// The root of the state's trie.
    pub(crate) fn root(&mut self) -> B256 {
        if let Some(root) = self.root {
            return root;
        }
        let stale: Vec<(Address, B256)> = self
            .accounts
            .iter()
            .filter(|(_, account)| account.storage_root.is_none())
            .map(|(address, account)| (*address, account.compute_storage_root()))
            .collect();
        for (address, root) in stale {
            if let Some(account) = self.accounts.get_mut(&address) {
                account.storage_root = Some(root);
            }
        }
        let accounts = self.accounts.iter().map(|(address, account)| (*address, account.trie()));
        let root = state_root_unhashed(accounts);
        self.root = Some(root);
        root
    }
}

impl Account {
    fn compute_storage_root(&self) -> B256 {
        let slots = self.storage.iter();
        storage_root_unhashed(slots.map(|(slot, value)| (B256::from(*slot), *value)))
    }

    fn trie(&self) -> TrieAccount {
        TrieAccount {
            nonce: self.nonce,
            balance: self.balance,
            storage_root: self.storage_root.unwrap_or_else(|| self.compute_storage_root()),
            code_hash: self.code_hash,
        }
    }
}

/// A state to run in, with the hashes of the blocks before it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) world: World,
    /// By number, the oldest first: as many as the `BLOCKHASH` instruction sees.
    pub(crate) hashes: std::sync::Arc<[(u64, B256)]>,
}

impl DatabaseRef for View {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.world.account(&address).map(|account| {
            let code = self.world.codes.get(&account.code_hash).cloned();
            AccountInfo {
                balance: account.balance,
                nonce: account.nonce,
                code_hash: account.code_hash,
                code: Some(code.unwrap_or_default()),
                ..AccountInfo::default()
            }
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.world.codes.get(&hash).cloned().unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(self.world.slot(&address, &slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        let found = self.hashes.binary_search_by_key(&number, |(at, _)| *at);
        Ok(found.ok().and_then(|at| self.hashes.get(at)).map_or(B256::ZERO, |(_, hash)| *hash))
    }
}

/// A number that nobody chooses and everybody can compute, in the place of a beacon's.
pub(crate) fn randomness(parent: B256, branch: u64) -> B256 {
    keccak256([parent.as_slice(), &branch.to_be_bytes()].concat())
}
