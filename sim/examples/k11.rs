//! scratch
use perun_sim::report::*;
use perun_sim::swap::{*, terms::*, law::Kind, aims};
fn main() {
    let kinds = [[Kind::Contract, Kind::Cell],[Kind::Cell, Kind::Contract],[Kind::Cell,Kind::Cell],[Kind::Contract,Kind::Contract]];
    println!("{}", heading());
    let ex = |name: String, b: Bounds| {
        let row = exhaust(Swap::new(b), &name, &b.to_string());
        println!("{row}");
        for l in row.story { println!("    {l}"); }
    };
    let hu = |name: String, b: Bounds| {
        let row = hunt(Swap::new(b), &name, &b.to_string(), Swap::aims_of(b.flaw));
        println!("{row}");
        let l: Vec<String> = row.story; println!("    {}", l.join(" "));
    };
    let _ = aims::SWAP;
    for k in kinds { 
        for cast in [Cast::HonestP, Cast::HonestQ, Cast::Both] {
        for (d,r) in [([0,0],0), ([1,1],0), ([0,2],0), ([0,0],1), ([1,0],1)] {
            let b = Bounds::small(cast, k).slower(d,r);
            ex(format!("{cast:?} exit"), Bounds { exit: true, ..b });
            ex(format!("{cast:?} expire"), Bounds { flaw: Flaw::ClaimsExpire, ..b });
        }}
        for f in [Flaw::PlainSwap, Flaw::RevealsDisputed, Flaw::RevealsCancelled, Flaw::CancelsFirst, Flaw::CancelsDisputed, Flaw::SignsBlind,
            Flaw::OneLedger, Flaw::NeverGoes, Flaw::RefundsAtOnce, Flaw::NeverRefunds, Flaw::NeverClaims, Flaw::ClaimsAtOnce] {
            for c in [Cast::HonestP, Cast::HonestQ] {
                hu(format!("{f:?} {c:?}"), Bounds { flaw: f, ..Bounds::small(c, k) });
            }
        }
    }
}
