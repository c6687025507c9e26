//! A node that says another thing of our cells than what they hold. A signature covers which cells
//! are spent and not what is in them: the difference would be the network's.

use crate::world::{RATE, Site, World, open, signed, terms};
use ckb_types::{packed::OutPoint, prelude::*};
use perun_backend_ckb::Error;
use perun_backend_ckb::channel::LiveChannel;
use perun_backend_ckb::dispute::{Job, Step, draft};
use perun_backend_ckb::money::{CKB, Made};
use perun_backend_ckb::open::{Offer, assemble, contribute};
use perun_backend_ckb::purse::Purse;
use perun_backend_ckb::rpc::{Cell, Cursor, IndexedCell, Page, Rpc, RpcError, SearchKey, View};
use perun_backend_ckb::tx::Draft;

/// Says that every cell of its list of live cells holds as much as this.
struct Liar<'a> {
    node: &'a dyn Site,
    capacity: u64,
}

impl Liar<'_> {
    fn understate(&self, mut cell: Cell) -> Cell {
        cell.output = cell.output.as_builder().capacity(self.capacity).build();
        cell
    }
}

impl Liar<'_> {
    fn node(&self) -> &dyn Rpc {
        self.node
    }
}

impl Rpc for Liar<'_> {
    fn live_cell(&self, out_point: &OutPoint, view: View) -> Result<Option<Cell>, RpcError> {
        Ok(self.node.live_cell(out_point, view)?.map(|cell| self.understate(cell)))
    }
    fn cells(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<IndexedCell>, RpcError> {
        let mut page = self.node.cells(key, after, limit)?;
        for row in &mut page.rows {
            row.cell = self.understate(row.cell.clone());
        }
        Ok(page)
    }
    perun_embedded_ckb::forward_rpc! {
        chain tip_header header_by_number header_by_hash block_by_number block_by_hash
        send_transaction transaction transactions index_tip pool fee_rate estimate_cycles
    }
}

#[test]
fn a_cell_that_holds_more_than_the_node_says_is_not_spent() {
    let world = World::new();
    let alice = world.person(1);
    let liar = Liar { node: &*world.chain, capacity: 200 * CKB };
    let purse = Purse::new(&liar, &world.deployment, alice.wallet.as_ref(), &alice.book);
    let mut payment = Draft::default();
    payment.makes.push(Made::plain(world.person(2).lock(), 100 * CKB));
    let error = purse.pay(&payment).unwrap_err();
    assert!(matches!(error, Error::FalseCell(_)), "{error}");
}

#[test]
fn a_channel_that_holds_more_than_the_node_says_is_not_concluded_from_our_wallet() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let coins = u128::from(500 * CKB);
    let channel = open(&world, &[&world.coin], &[[coins, coins]], [&alice, &bob]);
    let last = channel.state.successor(channel.state.outcome().clone()).unwrap().finalized();
    let close = signed(&channel.contract, last, &[&alice, &bob]);
    let liar = Liar { node: &*world.chain, capacity: 222 * CKB };
    let live = LiveChannel::find(&liar, &world.deployment, &channel.contract).unwrap();
    let step = Step::CloseFinal { signed: close, unpaid: 0 };
    let job = Job { contract: channel.contract, live, step };
    // Whatever seems to be missing would come from the wallet of whoever closes.
    let carol = world.person(3);
    let error = world.purse(&carol).pay(&draft(&[job], &world.deployment).unwrap()).unwrap_err();
    assert!(matches!(error, Error::FalseCell(_)), "{error}");
}

/// What the wallet brings is told wrongly from the start, so that everything adds up.
#[test]
fn a_shared_transaction_with_a_cell_that_holds_more_is_not_signed() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let coins = u128::from(100 * CKB);
    let terms = terms(&[&world.coin], &[[coins, coins]], [&alice, &bob]);
    let liar = Liar { node: &*world.chain, capacity: 900 * CKB };
    let contributions = [(&alice, 0), (&bob, 1)].map(|(person, seat)| {
        let (wallet, book) = (person.wallet.as_ref(), &person.book);
        let cells = Purse::new(&liar, &world.deployment, wallet, book).cells().unwrap();
        let plain: Vec<Cell> = cells.into_iter().filter(|cell| cell.data.is_empty()).collect();
        let offer = Offer {
            owner: &wallet.locks()[0],
            cells: &plain,
            payout: person.payout.clone(),
            change: person.payout.clone(),
            consents_by_presence: false,
            reserves: vec![111 * CKB],
        };
        contribute(&world.deployment, &terms, seat, &offer, RATE).unwrap()
    });
    let ours = contributions[0].clone();
    let assembly = assemble(&world.deployment, terms, contributions.to_vec()).unwrap();
    let read = assembly.read(&liar, &world.deployment, 0, &ours);
    let error = read.map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::FalseCell(_)), "{error}");
}
