// What is hashed and signed, in viem's words: the types of Perun's contracts and the values that
// the vectors' rows describe.

import {
  encodeAbiParameters,
  hashMessage,
  keccak256,
  parseAbiParameters,
  recoverAddress,
  type Address,
  type Hex,
} from "viem";
import { sign } from "viem/accounts";

const PARAMS = parseAbiParameters([
  "Params params",
  "struct Params { uint256 challengeDuration; uint256 nonce; Participant[] participants; address app; bool ledgerChannel; bool virtualChannel; }",
  "struct Participant { address ethAddress; bytes ccAddress; }",
]);

const STATE = parseAbiParameters([
  "State state",
  "struct State { bytes32 channelID; uint64 version; Allocation outcome; bytes appData; bool isFinal; }",
  "struct Allocation { Asset[] assets; uint256[] backends; uint256[][] balances; SubAlloc[] locked; }",
  "struct Asset { uint256 chainID; address ethHolder; bytes ccHolder; }",
  "struct SubAlloc { bytes32 ID; uint256[] balances; uint16[] indexMap; }",
]);

const WITHDRAWAL = parseAbiParameters([
  "Authorization authorization",
  "struct Authorization { bytes32 channelID; Participant participant; address receiver; uint256 amount; }",
  "struct Participant { address ethAddress; bytes ccAddress; }",
]);

const FUNDING = parseAbiParameters("bytes32, address");

export interface Participant {
  address: Address;
  foreign: Hex;
}

export interface Params {
  challenge_secs: string;
  nonce: Hex;
  participants: Participant[];
  app: Address;
  is_ledger: boolean;
  is_virtual: boolean;
}

export interface Asset {
  backend: number;
  chain: string;
  holder: Address;
  foreign: Hex;
}

export interface Locked {
  id: Hex;
  balances: string[];
  index_map: number[];
}

export interface State {
  id: Hex;
  version: string;
  outcome: { assets: Asset[]; balances: string[][]; locked: Locked[] };
  data: Hex;
  is_final: boolean;
}

const bigints = (numbers: string[]) => numbers.map((number) => BigInt(number));

export function encodeParams(params: Params): Hex {
  const value = {
    challengeDuration: BigInt(params.challenge_secs),
    nonce: BigInt(params.nonce),
    participants: params.participants.map((one) => ({
      ethAddress: one.address,
      ccAddress: one.foreign,
    })),
    app: params.app,
    ledgerChannel: params.is_ledger,
    virtualChannel: params.is_virtual,
  };
  return encodeAbiParameters(PARAMS, [value]);
}

// An empty index map is the identity; a shorter one than there are participants ends in zeros.
function indexMap(map: number[], participants: number): number[] {
  const column = (at: number) => map[at] ?? (map.length === 0 ? at : 0);
  return Array.from({ length: participants }, (_, at) => column(at));
}

export function encodeState(state: State): Hex {
  const { assets, balances, locked } = state.outcome;
  const columns = balances[0]?.length ?? 0;
  const value = {
    channelID: state.id,
    version: BigInt(state.version),
    outcome: {
      assets: assets.map((asset) => ({
        chainID: BigInt(asset.chain),
        ethHolder: asset.holder,
        ccHolder: asset.foreign,
      })),
      backends: assets.map((asset) => BigInt(asset.backend)),
      balances: balances.map(bigints),
      locked: locked.map((entry) => ({
        ID: entry.id,
        balances: bigints(entry.balances),
        indexMap: indexMap(entry.index_map, columns),
      })),
    },
    appData: state.data,
    isFinal: state.is_final,
  };
  return encodeAbiParameters(STATE, [value]);
}

export function encodeFunding(id: Hex, owner: Address): Hex {
  return encodeAbiParameters(FUNDING, [id, owner]);
}

export function encodeWithdrawal(
  id: Hex,
  participant: Participant,
  receiver: Address,
  amount: string,
): Hex {
  const { address, foreign } = participant;
  const value = {
    channelID: id,
    participant: { ethAddress: address, ccAddress: foreign },
    receiver,
    amount: BigInt(amount),
  };
  return encodeAbiParameters(WITHDRAWAL, [value]);
}

/** What is signed over an encoding: viem knows it as the digest of a message of 32 raw bytes. */
export function digestOf(encoded: Hex): Hex {
  return hashMessage({ raw: keccak256(encoded) });
}

/** The one signature that a key makes over a digest, and who made a given one. */
export async function signatureOf(digest: Hex, secret: Hex): Promise<Hex> {
  return sign({ hash: digest, privateKey: secret, to: "hex" });
}

export async function signerOf(digest: Hex, signature: Hex): Promise<Address> {
  const signer = await recoverAddress({ hash: digest, signature });
  return signer.toLowerCase() as Address;
}
