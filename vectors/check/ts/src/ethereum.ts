// vectors/ethereum.json: encodings, ids, hashes, digests, signatures.

import { keccak256, sliceHex, type Hex } from "viem";
import { privateKeyToAddress } from "viem/accounts";

import * as abi from "./abi.js";
import { named, same, type Check, type Lists, type Objection } from "./rows.js";

const PARAMS = ["challenge_secs", "nonce", "participants", "app", "is_ledger", "is_virtual"];
export const STATE = ["params", "id", "version", "outcome", "data", "is_final"];

export function checks(all: Lists): Record<string, Check> {
  const key = (name: string) => named(all["keys"], name);
  const params = (name: string) => named(all["params"], name);

  async function signed(digest: Hex, keyName: string, signature: Hex, wrong: Objection) {
    const { secret, address } = key(keyName);
    same("signature", await abi.signatureOf(digest, secret), signature, wrong);
    same("signer", await abi.signerOf(digest, signature), address, wrong);
  }

  return {
    keys: {
      fields: ["name", "secret", "address"],
      row: (row, wrong) => {
        const address = privateKeyToAddress(row["secret"]).toLowerCase();
        same("address", address, row["address"], wrong);
      },
    },
    params: {
      fields: ["name", "note", "source", ...PARAMS, "abi", "id"],
      optional: ["id_without_offset_word"],
      row: (row, wrong) => {
        const encoded = abi.encodeParams(row as abi.Params & typeof row);
        same("abi", encoded, row["abi"], wrong);
        same("id", keccak256(encoded), row["id"], wrong);
        const without = row["id_without_offset_word"];
        if (without === undefined) return;
        const made = keccak256(sliceHex(encoded, 32));
        same("id_without_offset_word", made, without, wrong);
      },
    },
    states: {
      fields: ["name", "note", "source", ...STATE, "abi", "hash", "digest", "signatures"],
      row: async (row, wrong) => {
        same("id", params(row["params"])["id"], row["id"], wrong);
        const encoded = abi.encodeState(row as abi.State & typeof row);
        same("abi", encoded, row["abi"], wrong);
        same("hash", keccak256(encoded), row["hash"], wrong);
        const digest = abi.digestOf(encoded);
        same("digest", digest, row["digest"], wrong);
        if (row["signatures"].length === 0) wrong("nobody signed it");
        for (const one of row["signatures"]) await signed(digest, one.key, one.signature, wrong);
      },
    },
    funding: {
      fields: ["name", "params", "participant", "abi", "id"],
      row: (row, wrong) => {
        const { id, participants } = params(row["params"]);
        const encoded = abi.encodeFunding(id, participants[row["participant"]].address);
        same("abi", encoded, row["abi"], wrong);
        same("id", keccak256(encoded), row["id"], wrong);
      },
    },
    withdrawals: {
      fields: [
        ...["name", "note", "params", "key", "foreign", "receiver", "amount"],
        ...["abi", "hash", "digest", "signature"],
      ],
      row: async (row, wrong) => {
        const participant = { address: key(row["key"])["address"], foreign: row["foreign"] };
        const { id } = params(row["params"]);
        const { receiver, amount } = row;
        const encoded = abi.encodeWithdrawal(id, participant, receiver, amount);
        same("abi", encoded, row["abi"], wrong);
        same("hash", keccak256(encoded), row["hash"], wrong);
        const digest = abi.digestOf(encoded);
        same("digest", digest, row["digest"], wrong);
        await signed(digest, row["key"], row["signature"], wrong);
      },
    },
  };
}
