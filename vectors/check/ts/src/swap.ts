// vectors/swap.json: pending swaps as bytes, what they move, and what is refused.

import { bytesToBigInt, concat, hexToBytes, keccak256, numberToHex, sha256, toHex } from "viem";
import type { Hex } from "viem";

import * as abi from "./abi.js";
import { STATE } from "./ethereum.js";
import { named, same, type Check, type Lists, type Objection, type Row } from "./rows.js";

interface Leg {
  asset: number;
  from: number;
  to: number;
  expiry: string;
  amount: string;
}

interface Swap {
  lock: Hex;
  legs: Leg[];
}

type Balances = string[][];

const EXPIRY_END = 2n ** 38n;
const HEAD = 33;
const LEG = 27;

function write(swap: Swap): Hex {
  const legs = swap.legs.map(({ asset, from, to, expiry, amount }) =>
    concat([
      toHex(Uint8Array.of(asset, from, to)),
      numberToHex(BigInt(expiry), { size: 8 }),
      numberToHex(BigInt(amount), { size: 16 }),
    ]),
  );
  return concat(["0x01", swap.lock, ...legs]);
}

function readLeg(bytes: Uint8Array): Leg {
  const [asset = 0, from = 0, to = 0] = bytes;
  const number = (start: number, end: number) => bytesToBigInt(bytes.slice(start, end)).toString();
  return { asset, from, to, expiry: number(3, 11), amount: number(11, LEG) };
}

/** The swap that bytes say, or the first reason for which they are none. */
function readSwap(data: Hex): Swap | string {
  const bytes = hexToBytes(data);
  if (bytes[0] !== 1) return "Format";
  const rest = bytes.length - HEAD;
  if (rest <= 0 || rest % LEG !== 0) return "Length";
  const starts = Array.from({ length: rest / LEG }, (_, at) => HEAD + at * LEG);
  const legs = starts.map((start) => readLeg(bytes.slice(start, start + LEG)));
  const ascends = legs.every((leg, at) => at === 0 || legs[at - 1]!.asset < leg.asset);
  if (!ascends) return "Order";
  for (const leg of legs) {
    if (leg.from === leg.to) return "SamePayee";
    const expiry = BigInt(leg.expiry);
    if (expiry === 0n || expiry >= EXPIRY_END) return "Expiry";
    if (leg.amount === "0") return "NoAmount";
  }
  return { lock: toHex(bytes.slice(1, HEAD)), legs };
}

/** The swap that a state carries, nothing, or why it must be refused. */
function pending(state: abi.State): Swap | undefined | string {
  if (state.data === "0x") return undefined;
  const swap = readSwap(state.data);
  if (typeof swap === "string") return swap;
  if (state.is_final) return "Final";
  for (const leg of swap.legs) {
    const row = state.outcome.balances[leg.asset];
    if (row === undefined) return "NoAsset";
    const [payer, payee] = [row[leg.from], row[leg.to]];
    if (payer === undefined || payee === undefined) return "NoParticipant";
    if (BigInt(leg.amount) > BigInt(payer)) return "Balance";
  }
  return swap;
}

/** The balances after the legs in some assets have moved. */
function moved(state: abi.State, swap: Swap, moves: (asset: abi.Asset) => boolean): Balances {
  const balances = state.outcome.balances.map((row) => row.map((amount) => BigInt(amount)));
  for (const leg of swap.legs.filter((leg) => moves(state.outcome.assets[leg.asset]!))) {
    const row = balances[leg.asset]!;
    row[leg.from]! -= BigInt(leg.amount);
    row[leg.to]! += BigInt(leg.amount);
  }
  return balances.map((row) => row.map(String));
}

function latest(expiries: string[]): string | null {
  const numbers = expiries.map((expiry) => BigInt(expiry));
  const later = (a: bigint, b: bigint) => (a > b ? a : b);
  return numbers.length === 0 ? null : String(numbers.reduce(later));
}

function checkHashes(row: Row, wrong: Objection): void {
  const encoded = abi.encodeState(row as abi.State & Row);
  same("hash", keccak256(encoded), row["hash"], wrong);
  same("digest", abi.digestOf(encoded), row["digest"], wrong);
}

function checkLedgers(row: Row, swap: Swap, wrong: Objection): void {
  const state = row as abi.State & Row;
  const of = (asset: abi.Asset) => `${asset.backend}/${asset.chain}`;
  const ledgers: Row[] = row["ledgers"];
  const named = ledgers.map((ledger) => `${ledger["backend"]}/${ledger["chain"]}`);
  same("ledgers", named, [...new Set(state.outcome.assets.map(of))], wrong);
  for (const ledger of ledgers) {
    const name = `${ledger["backend"]}/${ledger["chain"]}`;
    const isHere = (asset: abi.Asset) => of(asset) === name;
    const legs = swap.legs.filter((leg) => isHere(state.outcome.assets[leg.asset]!));
    const expiry = latest(legs.map((leg) => leg.expiry));
    same(`expiry on ${name}`, expiry, ledger["expiry"], wrong);
    const claimed = moved(state, swap, isHere);
    same(`balances_if_claimed on ${name}`, claimed, ledger["balances_if_claimed"], wrong);
  }
}

/** The one state that a step leads to, with the version of the row that is compared. */
function after(step: string, before: abi.State, next: abi.State): abi.State {
  const swap = pending(before);
  const { version } = next;
  if (step === "start") {
    if (swap !== undefined) throw new Error("a swap is pending already");
    const started = pending(next);
    if (started === undefined || typeof started === "string") throw new Error("no swap starts");
    return { ...before, version, data: write(started) };
  }
  if (swap === undefined || typeof swap === "string") throw new Error("no swap is pending");
  const balances = step === "finish" ? moved(before, swap, () => true) : before.outcome.balances;
  if (!["finish", "cancel"].includes(step)) throw new Error(`there is no step ${step}`);
  return { ...before, version, data: "0x", outcome: { ...before.outcome, balances } };
}

export function checks(all: Lists, ethereum: Lists): Record<string, Check> {
  const params = (row: Row) => named(ethereum["params"], row["params"]);
  const state = (name: string) => {
    const rows = [...(all["states"] ?? []), ...(all["plain"] ?? [])];
    return named(rows, name) as abi.State & Row;
  };
  return {
    states: {
      fields: ["name", "swap", "all_moved", "ledgers", ...STATE, "hash", "digest"],
      optional: ["note"],
      row: (row, wrong) => {
        const { lock, legs, preimage, ...more } = row["swap"];
        same("swap's other fields", Object.keys(more), [], wrong);
        same("id", params(row)["id"], row["id"], wrong);
        same("data", write({ lock, legs }), row["data"], wrong);
        same("swap", pending(row as abi.State & Row), { lock, legs }, wrong);
        same("lock", sha256(preimage), lock, wrong);
        const allMoved = moved(row as abi.State & Row, { lock, legs }, () => true);
        same("all_moved", allMoved, row["all_moved"], wrong);
        checkHashes(row, wrong);
        checkLedgers(row, { lock, legs }, wrong);
      },
    },
    plain: {
      fields: ["name", ...STATE, "hash", "digest"],
      row: (row, wrong) => {
        same("id", params(row)["id"], row["id"], wrong);
        same("swap", pending(row as abi.State & Row), undefined, wrong);
        checkHashes(row, wrong);
      },
    },
    steps: {
      fields: ["step", "before", "after"],
      row: (row, wrong) => {
        const next = state(row["after"]);
        const made = after(row["step"], state(row["before"]), next);
        same("after", abi.encodeState(made), abi.encodeState(next), wrong);
      },
    },
    refusals: {
      fields: ["name", "reason", ...STATE],
      row: (row, wrong) => {
        same("id", params(row)["id"], row["id"], wrong);
        same("reason", pending(row as abi.State & Row), row["reason"], wrong);
      },
    },
    preimages: {
      fields: ["lock", "preimage", "opens"],
      row: (row, wrong) => {
        same("opens", sha256(row["preimage"]) === row["lock"], row["opens"], wrong);
      },
    },
  };
}
