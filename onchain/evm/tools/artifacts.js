// Writes what was built with the profile `release` to artifacts/, one file per contract, in a form
// that depends on nothing but the sources and the compiler. With --check it compares instead.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const { keccak256 } = require("js-sha3");

const root = path.join(__dirname, "..");
const folder = path.join(root, "artifacts");
// The hub answers the whole of IPerunHub, half of it through its desk.
const contracts = { PerunHub: "IPerunHub", HubDesk: "HubDesk", AssetFacade: "AssetFacade" };

function built(name, file = name) {
  return JSON.parse(fs.readFileSync(path.join(root, `out/release/${file}.sol/${name}.json`)));
}

// Objects with their keys in order, lists as they are.
function ordered(value) {
  if (Array.isArray(value)) return value.map(ordered);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, ordered(value[key])]));
}

function code(section) {
  const hex = section.object;
  if (!/^0x([0-9a-f]{2})*$/.test(hex)) throw new Error("the code is not linked");
  const bytes = Buffer.from(hex.slice(2), "hex");
  return {
    bytes: hex,
    keccak256: "0x" + keccak256(bytes),
    sha256: "0x" + crypto.createHash("sha256").update(bytes).digest("hex"),
    size: bytes.length,
  };
}

function artifact(name) {
  const one = built(name);
  const described = contracts[name];
  const abi = described === name ? one.abi : built(described).abi;
  const byName = (a, b) => (JSON.stringify(ordered(a)) < JSON.stringify(ordered(b)) ? -1 : 1);
  const { optimizer, evmVersion, viaIR } = one.metadata.settings;
  return ordered({
    name,
    compiler: { solc: one.metadata.compiler.version, settings: { optimizer, evmVersion, viaIR } },
    abi: [...abi].sort(byName),
    bytecode: code(one.bytecode),
    deployedBytecode: {
      ...code(one.deployedBytecode),
      // Where the constructor writes addresses into the code; zero in the bytes above.
      immutables: Object.values(one.deployedBytecode.immutableReferences ?? {}).flat(),
    },
  });
}

const check = process.argv.includes("--check");
let different = 0;
fs.mkdirSync(folder, { recursive: true });
for (const name of Object.keys(contracts)) {
  const text = JSON.stringify(artifact(name), null, 1) + "\n";
  const file = path.join(folder, `${name}.json`);
  if (!check) {
    fs.writeFileSync(file, text);
  } else if (!fs.existsSync(file) || fs.readFileSync(file, "utf8") !== text) {
    console.error(`artifacts/${name}.json is not what the sources give; run: run.sh artifacts`);
    different += 1;
  }
}
process.exitCode = different === 0 ? 0 : 1;
