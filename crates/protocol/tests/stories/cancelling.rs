//! Taking a swap back, refusing one, and being late: nothing moves, and no end of a swap is signed
//! beside the other.
