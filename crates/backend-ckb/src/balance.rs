//! Completing a draft: token and fee inputs from the wallet's cells, change back to the wallet.
//!
//! Pure: which cells are free is the caller's knowledge. Few cells are chosen: the smallest one
//! that is enough, else the largest. Plain money comes from plain cells alone; cells with data or a
//! type are touched only for the token that is in them. The invariant: inputs equal outputs and fee
//! to the shannon, for every token too, and the fee is what the finished transaction's weight asks.

use crate::Error;
use crate::deployment::Deployment;
use crate::fees::Fee;
use crate::money::{Made, TOKEN_DATA, add, capacity_of, is_plain, occupied, sum, token_in};
use crate::rpc::Cell;
use crate::tx::{Draft, Resolved, Spend};
use crate::wallet::OwnedLock;

/// Most cells of the wallet that one transaction spends: about 12 KB of inputs.
pub const WALLET_INPUTS_MAX: usize = 256;

/// Free cells under one lock of a wallet.
#[derive(Clone, Copy, Debug)]
pub struct Funds<'a> {
    /// The lock, which receives the change.
    pub lock: &'a OwnedLock,
    /// The cells, in the order in which equal ones are preferred.
    pub cells: &'a [Cell],
}

/// A completed draft and the wallet's cells that it took.
#[derive(Clone, Debug)]
pub struct Balanced {
    /// The transaction, with placeholders where the wallet's lock will be signed for.
    pub spent: Resolved,
    /// The wallet's cells, those that the draft had already first.
    pub taken: Vec<Cell>,
    /// The fee.
    pub fee: u64,
}

/// Completes a draft from one lock's cells.
pub fn balance(
    draft: &Draft,
    funds: &Funds<'_>,
    deployment: &Deployment,
    fee: &Fee,
) -> Result<Balanced, Error> {
    let mut work = Work::new(draft, funds);
    work.take_tokens(deployment)?;
    loop {
        if let Some(done) = work.finish(fee)? {
            return Ok(done);
        }
    }
}

/// The top byte of a `since` that waits until a time, by median time in seconds.
const ABSOLUTE_SECONDS: u64 = 0x40 << 56;

struct Work<'a> {
    draft: Draft,
    funds: &'a Funds<'a>,
    free: Vec<&'a Cell>,
    taken: Vec<Cell>,
    /// Where the wallet's first input stands; its witness carries the lock's bytes.
    first: Option<usize>,
    /// An output of the draft that already pays the wallet's lock: change is added to it.
    purse: Option<usize>,
    /// The time that the next input taken proves to have passed.
    proof: Option<u64>,
    /// A token change cell: where change goes that is too little for a cell, when no cell is left.
    token_change: Option<usize>,
}

impl<'a> Work<'a> {
    fn new(draft: &Draft, funds: &'a Funds<'a>) -> Self {
        let ours = |lock: &ckb_types::packed::Script| {
            use ckb_types::prelude::Entity as _;
            lock.as_slice() == funds.lock.script.as_slice()
        };
        let plain = |made: &Made| made.data.is_empty() && made.output.type_().is_none();
        let purse = draft.makes.iter().position(|made| ours(&made.output.lock()) && plain(made));
        let first = draft.spends.iter().position(|spend| ours(&spend.cell.output.lock()));
        let spent = |cell: &Cell| draft.spends.iter().any(|it| it.cell.out_point == cell.out_point);
        let free = funds.cells.iter().filter(|cell| !spent(cell)).collect();
        let own = draft.spends.iter().map(|spend| &spend.cell);
        let taken = own.filter(|cell| ours(&cell.output.lock())).cloned().collect();
        let (draft, proof) = (draft.clone(), draft.reached);
        let mut work = Self { draft, funds, free, taken, first, purse, proof, token_change: None };
        work.draft.depend_on(&funds.lock.deps);
        if let Some(first) = first {
            work.place_lock(first);
        }
        work
    }

    fn take(&mut self, cell: &'a Cell) -> Result<(), Error> {
        if self.taken.len() >= WALLET_INPUTS_MAX {
            return Err(Error::TooManyCells { limit: WALLET_INPUTS_MAX });
        }
        self.free.retain(|free| free.out_point != cell.out_point);
        self.taken.push(cell.clone());
        let position = self.draft.spends.len();
        let since = self.since();
        self.draft.spends.push(Spend { cell: cell.clone(), since });
        if self.first.is_none() {
            self.first = Some(position);
            self.place_lock(position);
        }
        Ok(())
    }

    /// The time lock of the next input: the lock's own, or the time that the draft asks to have
    /// passed. A lock that insists on its own cannot prove another one.
    const fn since(&mut self) -> u64 {
        match self.proof.take() {
            Some(seconds) if self.funds.lock.since == 0 => ABSOLUTE_SECONDS | seconds,
            _ => self.funds.lock.since,
        }
    }

    fn place_lock(&mut self, position: usize) {
        self.draft.witness(position).lock = Some(vec![0; self.funds.lock.witness_length]);
    }

    /// Covers what outputs hold of tokens beyond inputs, and returns what is left over.
    fn take_tokens(&mut self, deployment: &Deployment) -> Result<(), Error> {
        for (token, (spent, made)) in self.draft.tokens()? {
            self.draft.depend_on(&deployment.token(&token)?.deps);
            let mut have = spent;
            let mut cells: Vec<(u128, &Cell)> = self
                .free
                .iter()
                .filter_map(|cell| Some((token_in(cell)?, *cell)))
                .filter(|((kind, _), _)| *kind == token)
                .map(|((_, amount), cell)| (amount, cell))
                .collect();
            cells.sort_by_key(|(amount, _)| std::cmp::Reverse(*amount));
            let available = cells.iter().fold(have, |sum, (amount, _)| sum.saturating_add(*amount));
            if available < made {
                return Err(Error::InsufficientToken { token, have: available, need: made });
            }
            for (amount, cell) in cells {
                if have >= made {
                    break;
                }
                have = have.checked_add(amount).ok_or(Error::Amount)?;
                self.take(cell)?;
            }
            let rest = have.checked_sub(made).ok_or(Error::Amount)?;
            if rest > 0 {
                let (lock, kind) = (&self.funds.lock.script, &deployment.token(&token)?.script);
                let least = occupied(lock, Some(kind), TOKEN_DATA);
                self.token_change = Some(self.draft.makes.len());
                self.draft.makes.push(Made::token(lock.clone(), kind.clone(), least, rest));
            }
        }
        Ok(())
    }

    /// The finished transaction if what was taken is enough; else one more cell is taken.
    fn finish(&mut self, fee: &Fee) -> Result<Option<Balanced>, Error> {
        if let Some(cell) = self.proof.and_then(|_| self.next_plain(0)) {
            // Whatever is missing beside it is taken in later rounds.
            return self.take(cell).map(|()| None);
        }
        let bare_fee = fee.of(self.draft.build().size())?;
        let bare_over = self.over(bare_fee)?;
        if let Some(purse) = self.purse.filter(|_| bare_over >= 0) {
            return self.done(self.draft.clone(), purse, bare_over, bare_fee).map(Some);
        }
        if bare_over == 0 {
            let (spent, taken) = (self.draft.build(), self.taken.clone());
            return Ok(Some(Balanced { spent, taken, fee: bare_fee }));
        }
        let mut changed = self.draft.clone();
        let position = changed.makes.len();
        changed.makes.push(Made::plain(self.funds.lock.script.clone(), 0));
        let change_fee = fee.of(changed.build().size())?;
        let minimum = match self.purse {
            Some(_) => 0,
            None => occupied(&self.funds.lock.script, None, 0),
        };
        let over = if self.purse.is_some() { bare_over } else { self.over(change_fee)? };
        if over >= i128::from(minimum) {
            return self.done(changed, position, over, change_fee).map(Some);
        }
        let missing = i128::from(minimum).checked_sub(over).ok_or(Error::Amount)?;
        match self.next_plain(u64::try_from(missing).map_err(|_| Error::Amount)?) {
            Some(cell) => self.take(cell).map(|()| None),
            None => match self.token_change.filter(|_| bare_over >= 0) {
                Some(token) => self.done(self.draft.clone(), token, bare_over, bare_fee).map(Some),
                None => Err(self.insufficient(missing, minimum)?),
            },
        }
    }

    /// What the inputs hold beyond outputs and fee; negative where they hold less.
    fn over(&self, fee: u64) -> Result<i128, Error> {
        let need = self.draft.lacking()?.checked_add(i128::from(fee));
        need.and_then(i128::checked_neg).ok_or(Error::Amount)
    }

    /// The draft with `change` added to the output at `position`.
    fn done(
        &self,
        mut draft: Draft,
        position: usize,
        change: i128,
        fee: u64,
    ) -> Result<Balanced, Error> {
        let change = u64::try_from(change).map_err(|_| Error::Amount)?;
        if let Some(made) = draft.makes.get_mut(position) {
            *made = made.clone().with_capacity(add(made.capacity(), change)?);
        }
        Ok(Balanced { spent: draft.build(), taken: self.taken.clone(), fee })
    }

    /// The smallest free plain cell that holds `missing`, else the largest one.
    fn next_plain(&self, missing: u64) -> Option<&'a Cell> {
        let plain = || self.free.iter().copied().filter(|cell| is_plain(cell));
        let capacity = |cell: &&Cell| capacity_of(&cell.output);
        let enough = plain().filter(|cell| capacity(cell) >= missing).min_by_key(capacity);
        enough.or_else(|| plain().max_by_key(capacity))
    }

    /// What the wallet has in plain cells, and what the transaction takes from it.
    fn insufficient(&self, missing: i128, minimum: u64) -> Result<Error, Error> {
        let plain = self.taken.iter().filter(|cell| is_plain(cell));
        let have = sum(plain.map(|cell| capacity_of(&cell.output)))?;
        let with_change = i128::from(have).checked_add(missing).ok_or(Error::Amount)?;
        let need = with_change.checked_sub(i128::from(minimum)).ok_or(Error::Amount)?;
        let need = u64::try_from(need.max(0)).map_err(|_| Error::Amount)?;
        Ok(Error::InsufficientCapacity { have, need, minimum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::{CodeCell, Token};
    use crate::money::{CKB, script_hash};
    use ckb_types::{
        bytes::Bytes,
        core::{BlockView, DepType, TransactionBuilder},
        packed::{Byte32, CellOutput, OutPoint, Script},
        prelude::*,
    };

    const FEE: Fee = Fee::rate(1_000);

    fn script(number: u8, args: usize) -> Script {
        Script::new_builder()
            .code_hash([number; 32].pack())
            .args(Bytes::from(vec![number; args]))
            .build()
    }

    fn owner() -> OwnedLock {
        OwnedLock {
            script: script(1, 20),
            since: 0,
            witness_length: 65,
            deps: Vec::new(),
            signs_all: true,
        }
    }

    fn cell(index: u32, made: Made) -> Cell {
        let out_point = OutPoint::new(Byte32::default(), index);
        Cell { out_point, output: made.output, data: made.data }
    }

    fn plain(index: u32, ckb: u64) -> Cell {
        cell(index, Made::plain(script(1, 20), ckb * CKB))
    }

    fn token(index: u32, ckb: u64, amount: u128) -> Cell {
        cell(index, Made::token(script(1, 20), script(9, 32), ckb * CKB, amount))
    }

    /// A first block with what a deployment looks for, and one token.
    fn deployment() -> Deployment {
        let named = CellOutput::new_builder().type_(Some(script(5, 32)).pack()).build();
        let system = TransactionBuilder::default().outputs(vec![named; 5]).build();
        let groups = TransactionBuilder::default().outputs(vec![CellOutput::default(); 2]).build();
        let genesis: BlockView = ckb_types::core::BlockBuilder::default()
            .transaction(system)
            .transaction(groups)
            .build_unchecked();
        let code = |number: u8| CodeCell {
            out_point: OutPoint::default(),
            dep_type: DepType::Code,
            data_hash: [number; 32],
        };
        let mut deployment = Deployment::new(&genesis, code(2), code(3)).unwrap();
        deployment.add_token(Token { script: script(9, 32), deps: Vec::new() }).unwrap();
        deployment
    }

    fn paying(ckb: u64) -> Draft {
        let mut draft = Draft::default();
        draft.makes.push(Made::plain(script(4, 20), ckb * CKB));
        draft
    }

    fn balanced(draft: &Draft, cells: &[Cell]) -> Result<Balanced, Error> {
        balance(draft, &Funds { lock: &owner(), cells }, &deployment(), &FEE)
    }

    fn taken(done: &Balanced) -> Vec<u32> {
        done.taken.iter().map(|cell| cell.out_point.index().into()).collect()
    }

    #[test]
    fn inputs_are_outputs_and_the_fee_of_the_finished_size() {
        let done = balanced(&paying(100), &[plain(1, 500)]).unwrap();
        assert_eq!(done.spent.fee(), Ok(done.fee));
        assert_eq!(done.fee, done.spent.size());
    }

    #[test]
    fn the_smallest_cell_that_is_enough_is_taken_alone() {
        let cells = [plain(1, 1_000), plain(2, 90), plain(3, 200), plain(4, 150)];
        assert_eq!(taken(&balanced(&paying(100), &cells).unwrap()), [3]);
        assert_eq!(taken(&balanced(&paying(1_100), &cells).unwrap()), [1, 3]);
    }

    #[test]
    fn a_change_too_small_for_a_cell_takes_another_cell_or_is_an_error() {
        let done = balanced(&paying(100), &[plain(1, 130), plain(2, 131)]).unwrap();
        assert_eq!(taken(&done).len(), 2);
        let error = balanced(&paying(100), &[plain(1, 130)]).unwrap_err();
        let Error::InsufficientCapacity { have, need, minimum } = error.clone() else {
            panic!("{error}");
        };
        assert_eq!((have, minimum), (130 * CKB, 61 * CKB));
        assert!(need > 100 * CKB && need < 100 * CKB + 2_000);
        let text = error.to_string();
        assert!(text.contains("130 CKB") && text.contains("161.00000"), "{text}");
    }

    #[test]
    fn what_the_error_says_would_be_enough_is_enough() {
        let Err(Error::InsufficientCapacity { need, minimum, .. }) =
            balanced(&paying(100), &[plain(1, 70)])
        else {
            panic!("70 CKB paid for 100");
        };
        let exact = cell(1, Made::plain(script(1, 20), need + minimum));
        assert!(balanced(&paying(100), &[exact]).is_ok());
        let less = cell(1, Made::plain(script(1, 20), need + minimum - 1));
        assert!(balanced(&paying(100), &[less]).is_err());
    }

    #[test]
    fn no_change_cell_is_made_when_nothing_is_left() {
        let fee = balanced(&paying(100), &[plain(1, 500)]).unwrap();
        // Without the change cell the transaction is smaller by what that cell takes.
        let bare = fee.fee - 97 - 4 - 4 - 4;
        let exact = cell(1, Made::plain(script(1, 20), 100 * CKB + bare));
        let done = balanced(&paying(100), &[exact]).unwrap();
        assert_eq!((done.spent.makes().len(), done.fee), (1, bare));
    }

    #[test]
    fn cells_with_data_or_a_type_never_pay_for_plain_money() {
        let written =
            Made { data: Bytes::from_static(b"x"), ..Made::plain(script(1, 20), 900 * CKB) };
        let cells = [token(1, 900, 5), cell(2, written)];
        let error = balanced(&paying(100), &cells).unwrap_err();
        assert!(matches!(error, Error::InsufficientCapacity { have: 0, .. }), "{error}");
    }

    #[test]
    fn tokens_come_from_token_cells_and_the_rest_goes_back() {
        let mut draft = Draft::default();
        draft.makes.push(Made::token(script(4, 20), script(9, 32), 142 * CKB, 30));
        let cells = [plain(1, 1_000), token(2, 142, 20), token(3, 142, 25)];
        let done = balanced(&draft, &cells).unwrap();
        let name = script_hash(&script(9, 32));
        assert_eq!(done.spent.tokens().unwrap().get(&name), Some(&(45, 45)));
        let error = balanced(&draft, &cells[..2]).unwrap_err();
        assert_eq!(error, Error::InsufficientToken { token: name, have: 20, need: 30 });
    }

    #[test]
    fn a_token_cell_alone_keeps_change_that_is_too_little_for_a_cell() {
        let mut draft = Draft::default();
        draft.spends.push(Spend::now(token(1, 200, 5)));
        let done = balanced(&draft, &[]).unwrap();
        let made = done.spent.makes();
        assert_eq!((made.len(), made[0].capacity()), (1, 200 * CKB - done.fee));
    }

    #[test]
    fn change_joins_an_output_that_pays_the_wallet_already() {
        let mut draft = paying(100);
        draft.makes.push(Made::plain(script(1, 20), 70 * CKB));
        let done = balanced(&draft, &[plain(1, 171)]).unwrap();
        let made = done.spent.makes();
        assert_eq!((made.len(), made[1].capacity()), (2, 71 * CKB - done.fee));
    }

    #[test]
    fn the_fee_counts_cycles_where_they_weigh_more() {
        let fee = Fee { cycles: 60_000_000, ..FEE };
        let funds = Funds { lock: &owner(), cells: &[plain(1, 500)] };
        let done = balance(&paying(100), &funds, &deployment(), &fee).unwrap();
        assert_eq!(done.fee, 10_235);
    }

    #[test]
    fn the_first_input_of_the_wallet_proves_the_time_that_must_have_passed() {
        let reached = Some(2_000_000_000);
        let sinces = |draft: &Draft, lock: &OwnedLock| {
            let cells = [plain(1, 90), plain(2, 91), plain(3, 92)];
            let funds = Funds { lock, cells: &cells };
            let done = balance(draft, &funds, &deployment(), &FEE).unwrap();
            let inputs = done.spent.tx.inputs().into_iter();
            inputs.map(|input| input.since().into()).collect::<Vec<u64>>()
        };
        let proof = 0x40 << 56 | 2_000_000_000;
        let mut draft = paying(100);
        draft.reached = reached;
        assert_eq!(sinces(&draft, &owner()), [proof, 0]);
        assert_eq!(sinces(&paying(100), &owner()), [0, 0]);
        let bound = OwnedLock { since: 7, ..owner() };
        assert_eq!(sinces(&draft, &bound), [7, 7], "its own time lock comes first");
        // Nothing is missing, and still somebody must prove the time.
        let mut paid = Draft::default();
        paid.reached = reached;
        paid.spends.push(Spend::now(plain(9, 100)));
        paid.makes.push(Made::plain(script(1, 20), 99 * CKB));
        assert_eq!(sinces(&paid, &owner()), [0, proof]);
    }

    #[test]
    fn more_cells_than_one_transaction_should_spend_are_an_error() {
        let cells: Vec<Cell> = (0..300).map(|index| plain(index, 61)).collect();
        let error = balanced(&paying(61 * 290), &cells).unwrap_err();
        assert_eq!(error, Error::TooManyCells { limit: WALLET_INPUTS_MAX });
    }
}
