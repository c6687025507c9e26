// Checks vectors/ethereum.json and vectors/swap.json with viem.
//
//     node out/main.js [folder of the vectors]

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import * as ethereum from "./ethereum.js";
import { checkFile, read } from "./rows.js";
import * as swap from "./swap.js";

const beside = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const folder = process.argv[2] ?? beside;
const [eth, swaps] = [read(folder, "ethereum.json"), read(folder, "swap.json")];
const results = {
  "ethereum.json": await checkFile("ethereum.json", eth, ethereum.checks(eth)),
  "swap.json": await checkFile("swap.json", swaps, swap.checks(swaps, eth)),
};
for (const [file, { rows, wrong }] of Object.entries(results)) {
  wrong.forEach((line) => console.error(line));
  console.log(`viem: ${file}: ${rows} rows, ${wrong.length} objections`);
  if (wrong.length > 0) process.exitCode = 1;
}
