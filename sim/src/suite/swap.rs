//! The runs of K11, the hash-locked swap.

use super::Size;
use crate::report::{Row, exhaust, hunt};
use crate::swap::Swap;
use crate::swap::law::Kind::{self, Cell, Contract};
use crate::swap::terms::{Bounds, Cast, Flaw};
use crate::swap::world::{X, Y};

const CASTS: [Cast; 3] = [Cast::HonestP, Cast::HonestQ, Cast::Both];
/// X and Y: first the two channels over two kinds of ledger.
const KINDS: [[Kind; 2]; 4] =
    [[Contract, Cell], [Cell, Contract], [Cell, Cell], [Contract, Contract]];

fn kinds(size: Size) -> &'static [[Kind; 2]] {
    if size == Size::Quick { &KINDS[..2] } else { &KINDS }
}

const fn name(cast: Cast) -> &'static str {
    match cast {
        Cast::HonestP => "K11 swap, honest P",
        Cast::HonestQ => "K11 swap, honest Q",
        Cast::Both => "K11 swap, both honest",
    }
}

/// K11 without planted bugs.
#[must_use]
pub fn swaps(size: Size) -> Vec<Row> {
    let mut rows = Vec::new();
    for kinds in kinds(size) {
        for cast in CASTS {
            let small = Bounds::small(cast, *kinds);
            let leaving = |bounds| Bounds { exit: true, ..bounds };
            // Everything at once: slow answers, slow clocks, an eager P.
            let slow = small.slower([2, 1], 1).clocks([1, 1], [1, 1]);
            let slow = Bounds { answer: 2, talk: 3, eager: true, ..slow };
            let mixed = kinds[X] != kinds[Y];
            let mut all = vec![leaving(small)];
            if size != Size::Quick {
                let eager = Bounds { eager: true, ..small };
                all.push(leaving(small.slower([1, 0], 1)));
                all.push(eager.slower([0, 2], 0).clocks([1, 0], [0, 1]));
                all.push(eager.slower([1, 0], 0).clocks([0, 1], [1, 0]));
                all.push(Bounds { slots: 3, ..small.with_windows([1, 2]) });
                all.push(Bounds { flaw: Flaw::ClaimsExpire, ..small.slower([1, 1], 0) });
            }
            if size == Size::Deep || size == Size::Full && mixed {
                all.push(slow);
            }
            if size == Size::Deep {
                all.push(leaving(small.slower([1, 1], 1)));
                all.push(leaving(small.slower([2, 2], 0)));
                all.push(leaving(Bounds { slots: 3, ..small.slower([0, 1], 1) }));
                all.push(Bounds { flaw: Flaw::ClaimsExpire, ..slow });
            }
            rows.extend(
                all.into_iter()
                    .map(|bounds| exhaust(Swap::new(bounds), name(cast), &bounds.to_string())),
            );
        }
    }
    rows
}

/// Each deadline of K11, one tick short: money must be lost.
#[must_use]
pub fn swaps_tight(size: Size) -> Vec<Row> {
    let mut rows = Vec::new();
    for kinds in kinds(size) {
        let shapes = |cast| {
            let small = Bounds::small(cast, *kinds);
            let mut shapes = vec![small];
            if size != Size::Quick {
                shapes.push(small.slower([1, 0], 0).clocks([1, 0], [0, 1]));
                shapes.push(small.slower([0, 0], 1).with_windows([1, 2]));
            }
            if size == Size::Deep {
                shapes.push(small.slower([0, 1], 0).clocks([0, 1], [1, 0]));
                shapes.push(small.slower([1, 1], 1));
                shapes.push(Bounds { slots: 3, ..small });
            }
            shapes
        };
        for bounds in shapes(Cast::HonestP) {
            rows.push(loses("K11 P reveals late", Bounds { reveal_late: 1, ..bounds }));
            rows.extend(short_windows(bounds));
        }
        for bounds in shapes(Cast::HonestQ) {
            rows.push(loses("K11 Q goes late", Bounds { go_late: 1, ..bounds }));
            if bounds.gap_binds() {
                rows.push(loses("K11 gap one tick short", Bounds { gap_short: 1, ..bounds }));
            }
            rows.extend(short_windows(bounds));
        }
    }
    rows
}

/// Each window one tick short of the timing condition, unless it is longer than that to begin with.
fn short_windows(bounds: Bounds) -> Vec<Row> {
    if bounds != bounds.with_windows([0, 0]) {
        return Vec::new();
    }
    let names = [(X, "K11 T_X one tick short"), (Y, "K11 T_Y one tick short")];
    names.into_iter().map(|(ledger, name)| loses(name, bounds.shorter(ledger))).collect()
}

/// The bugs planted into the rules of K11's ledgers and into the honest duties.
#[must_use]
pub fn swaps_zoo(size: Size) -> Vec<Row> {
    let (p, q) = (Cast::HonestP, Cast::HonestQ);
    let mut rows = Vec::new();
    for kinds in kinds(size) {
        let bounds = |cast| Bounds::small(cast, *kinds);
        let same = bounds(q);
        rows.push(loses("K11 E_Y = E_X", Bounds { gap_short: same.gap(), ..same }));
        for (name, cast, flaw) in [
            ("K11 plain swap", p, Flaw::PlainSwap),
            ("K11 reveals disputed", p, Flaw::RevealsDisputed),
            ("K11 reveals cancelled", p, Flaw::RevealsCancelled),
            ("K11 Q signs v1/2 first", q, Flaw::OffersFirst),
            ("K11 Q signs v+1 blind", q, Flaw::SignsBlind),
            ("K11 Q cancels first", q, Flaw::CancelsFirst),
            ("K11 cancels disputed", q, Flaw::CancelsDisputed),
            ("K11 Q consents, pending", q, Flaw::Consents),
            ("K11 one ledger only", q, Flaw::OneLedger),
            ("K11 Q never goes", q, Flaw::NeverGoes),
            ("K11 refund at once", p, Flaw::RefundsAtOnce),
            ("K11 refund at once", q, Flaw::RefundsAtOnce),
            ("K11 never refunds", q, Flaw::NeverRefunds),
            ("K11 never claims", p, Flaw::NeverClaims),
            ("K11 claims at once", p, Flaw::ClaimsAtOnce),
            ("K11 claims at once", q, Flaw::ClaimsAtOnce),
        ] {
            rows.push(loses(name, Bounds { flaw, ..bounds(cast) }));
        }
    }
    rows
}

fn loses(name: &str, bounds: Bounds) -> Row {
    hunt(Swap::new(bounds), name, &bounds.to_string(), Swap::aims_of(bounds.flaw))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formulas are what a search finds: everything shorter loses money, they do not.
    #[test]
    fn the_least_gap_is_the_formula() {
        let bounds = Bounds::small(Cast::HonestQ, KINDS[3]).slower([1, 0], 0);
        assert!(bounds.gap_binds());
        let holds = |gap_short| {
            let bounds = Bounds { gap_short, ..bounds };
            hunt(Swap::new(bounds), "", "", Swap::aims_of(Flaw::None)).caught.is_none()
        };
        let least = (0..=bounds.gap()).find(|gap| holds(bounds.gap() - gap));
        assert_eq!(least, Some(bounds.delta(X) + bounds.delta(Y)));
    }
}
