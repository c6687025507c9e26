// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Params, State, WithdrawalAuth} from "../src/interfaces/Types.sol";
import {EncodingHarness} from "./base/EncodingHarness.sol";
import {PerunTest} from "./base/PerunTest.sol";
import {Unpack} from "./base/Unpack.sol";

/// The rows that every implementation must reproduce.
contract VectorsTest is PerunTest {
    string private json;
    EncodingHarness private harness;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("../../vectors/ethereum.json");
        harness = new EncodingHarness();
    }

    function at(string memory list_, uint256 row, string memory field)
        private
        pure
        returns (string memory)
    {
        return string.concat(".", list_, "[", vm.toString(row), "].", field);
    }

    function b32(string memory path) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, path);
    }

    function addressOf(string memory name) private view returns (address) {
        uint256 row = 0;
        while (!same(vm.parseJsonString(json, at("keys", row, "name")), name)) ++row;
        return vm.parseJsonAddress(json, at("keys", row, "address"));
    }

    function same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    function testAddressesOfAllKeys() public view {
        uint256 row = 0;
        for (; vm.keyExistsJson(json, at("keys", row, "secret")); ++row) {
            address expected = vm.parseJsonAddress(json, at("keys", row, "address"));
            vm.assertEq(vm.addr(uint256(b32(at("keys", row, "secret")))), expected);
        }
        vm.assertEq(row, 4, "rows");
    }

    function testIdsOfAllParams() public view {
        uint256 row = 0;
        for (; vm.keyExistsJson(json, at("params", row, "abi")); ++row) {
            bytes memory encoded = vm.parseJsonBytes(json, at("params", row, "abi"));
            Params memory p = abi.decode(encoded, (Params));
            bytes32 id = b32(at("params", row, "id"));
            vm.assertEq(hub.channelID(p), id);
            vm.assertEq(abi.encode(p), encoded);
            if (vm.keyExistsJson(json, at("params", row, "id_without_offset_word"))) {
                bytes32 wrong = b32(at("params", row, "id_without_offset_word"));
                vm.assertTrue(wrong != id && wrong == withoutOffset(encoded));
            }
            p.challengeDuration = DURATION;
            vm.assertEq(harness.idOf(p), keccak256(abi.encode(p)));
        }
        vm.assertEq(row, 5, "rows");
    }

    /// What an encoder without the leading word hashes.
    function withoutOffset(bytes memory encoded) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            hash := keccak256(add(encoded, 0x40), sub(mload(encoded), 0x20))
        }
    }

    function testStatesAreLoggedInFewBytes() public view {
        uint256 logged = 0;
        for (uint256 row = 0; vm.keyExistsJson(json, at("states", row, "abi")); ++row) {
            if (!vm.keyExistsJson(json, at("states", row, "logged"))) continue;
            bytes memory encoded = vm.parseJsonBytes(json, at("states", row, "abi"));
            State memory s = abi.decode(encoded, (State));
            bytes memory expected = vm.parseJsonBytes(json, at("states", row, "logged"));
            (,, bytes memory packed) = harness.readState(s);
            vm.assertEq(packed, expected);
            vm.assertEq(Unpack.state(s.channelID, packed), encoded);
            ++logged;
        }
        vm.assertEq(logged, 8, "rows");
    }

    function testHashesAndSignaturesOfAllStates() public view {
        uint256 row = 0;
        uint256 checked = 0;
        for (; vm.keyExistsJson(json, at("states", row, "abi")); ++row) {
            State memory s =
                abi.decode(vm.parseJsonBytes(json, at("states", row, "abi")), (State));
            bytes32 hash = b32(at("states", row, "hash"));
            vm.assertEq(hub.hashState(s), hash);
            // The hub keeps 48 bits of a version.
            if (s.version >> 48 != 0) s.version = 1;
            vm.assertEq(harness.hashOf(s), keccak256(abi.encode(s)));
            bytes32 digest = b32(at("states", row, "digest"));
            vm.assertEq(eip191(hash), digest);
            checked += signatures(row, digest);
        }
        vm.assertEq(row, 9, "rows");
        vm.assertTrue(checked >= 11, "signatures");
    }

    function word(bytes memory data, uint256 index) private pure returns (uint256 out) {
        assembly ("memory-safe") {
            out := mload(add(add(data, 0x20), mul(index, 0x20)))
        }
    }

    function signatures(uint256 row, bytes32 digest) private view returns (uint256 k) {
        string memory base = at("states", row, "signatures[");
        for (;; ++k) {
            string memory one = string.concat(base, vm.toString(k), "].");
            if (!vm.keyExistsJson(json, string.concat(one, "key"))) return k;
            address signer = addressOf(vm.parseJsonString(json, string.concat(one, "key")));
            bytes memory sig = vm.parseJsonBytes(json, string.concat(one, "signature"));
            vm.assertEq(recover(digest, sig), signer);
        }
    }

    function recover(bytes32 digest, bytes memory sig) private pure returns (address) {
        return ecrecover(digest, uint8(sig[64]), bytes32(word(sig, 0)), bytes32(word(sig, 1)));
    }

    function testNamesOfDeposits() public view {
        for (uint256 row = 0; row < 4; ++row) {
            bytes memory encoded = vm.parseJsonBytes(json, at("funding", row, "abi"));
            (bytes32 id, address owner) = abi.decode(encoded, (bytes32, address));
            bytes32 expected = b32(at("funding", row, "id"));
            vm.assertEq(keccak256(abi.encode(id, owner)), expected);
        }
    }

    function testDigestsOfWithdrawals() public view {
        for (uint256 row = 0; row < 2; ++row) {
            bytes memory encoded = vm.parseJsonBytes(json, at("withdrawals", row, "abi"));
            WithdrawalAuth memory a = abi.decode(encoded, (WithdrawalAuth));
            bytes32 hash = keccak256(abi.encode(a));
            vm.assertEq(hash, b32(at("withdrawals", row, "hash")));
            vm.assertEq(eip191(hash), b32(at("withdrawals", row, "digest")));
            bytes memory sig = vm.parseJsonBytes(json, at("withdrawals", row, "signature"));
            vm.assertEq(recover(eip191(hash), sig), a.participant.ethAddress);
        }
    }
}
