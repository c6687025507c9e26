// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {Asset, Params, Participant, State, SubAlloc} from "../src/interfaces/Types.sol";
import {ChannelView, StateView} from "../src/lib/Encoding.sol";
import {EncodingHarness} from "./base/EncodingHarness.sol";
import {PerunTest} from "./base/PerunTest.sol";
import {Unpack} from "./base/Unpack.sol";

/// Reading in place agrees with plain Solidity, and refuses every other spelling.
contract EncodingTest is PerunTest {
    EncodingHarness private harness;
    uint256 private seed;

    function setUp() public override {
        super.setUp();
        harness = new EncodingHarness();
    }

    function draw(uint256 from, uint256 to) private returns (uint256) {
        seed = uint256(keccak256(abi.encode(seed)));
        return from + seed % (to - from + 1);
    }

    function blob(uint256 most) private returns (bytes memory out) {
        out = new bytes(draw(0, most));
        for (uint256 i = 0; i < out.length; ++i) {
            out[i] = bytes1(uint8(draw(0, 255)));
        }
    }

    function someParams() private returns (Params memory p) {
        p = newParams(draw(2, 16));
        p.challengeDuration = draw(1800, 31_536_000);
        p.nonce = draw(0, type(uint256).max - 1);
        p.app = address(uint160(draw(0, 3)));
        p.ledgerChannel = draw(0, 1) == 1;
        p.virtualChannel = draw(0, 1) == 1;
        for (uint256 i = 0; i < p.participants.length; ++i) {
            p.participants[i].ccAddress = blob(128);
        }
    }

    function someState() private returns (State memory s) {
        Params memory p = newParams(2);
        uint256 columns = draw(1, 4);
        s = newState(p, uint64(draw(0, 2 ** 48 - 1)), coin, amounts(columns));
        uint256 count = draw(0, 3);
        for (uint256 k = 0; k < count; ++k) {
            addAsset(
                s, draw(0, 2 ** 64), address(uint160(draw(0, 2 ** 160 - 1))), amounts(columns)
            );
            s.outcome.assets[k].ccHolder = blob(128);
        }
        s.outcome.locked = new SubAlloc[](draw(0, 3));
        for (uint256 k = 0; k < s.outcome.locked.length; ++k) {
            uint16[] memory indices = new uint16[](draw(0, columns));
            for (uint256 i = 0; i < indices.length; ++i) {
                indices[i] = uint16(draw(0, columns - 1));
            }
            s.outcome.locked[k] =
                SubAlloc(keccak256(abi.encode(draw(0, 1e18))), amounts(count + 1), indices);
        }
        s.appData = blob(200);
        s.isFinal = draw(0, 1) == 1;
    }

    function amounts(uint256 count) private returns (uint256[] memory out) {
        out = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            out[i] = draw(0, 2 ** 100);
        }
    }

    function testFuzzParamsAgree(uint256 seed_) public {
        seed = seed_;
        Params memory p = someParams();
        (ChannelView memory v, address[] memory parties) = harness.readParams(p);
        vm.assertEq(v.id, keccak256(abi.encode(p)));
        vm.assertEq(v.id, hub.channelID(p));
        vm.assertEq(v.duration, p.challengeDuration);
        vm.assertEq(v.app, p.app);
        vm.assertTrue(v.isLedger == p.ledgerChannel && v.isVirtual == p.virtualChannel);
        vm.assertEq(parties.length, p.participants.length);
        for (uint256 i = 0; i < parties.length; ++i) {
            vm.assertEq(parties[i], p.participants[i].ethAddress);
        }
    }

    function testFuzzStatesAgree(uint256 seed_) public {
        seed = seed_;
        State memory s = someState();
        (StateView memory v, uint256[] memory balances, bytes memory packed) =
            harness.readState(s);
        vm.assertEq(Unpack.state(s.channelID, packed), abi.encode(s));
        vm.assertEq(v.hash, keccak256(abi.encode(s)));
        vm.assertEq(v.hash, hub.hashState(s));
        vm.assertEq(v.id, s.channelID);
        vm.assertEq(v.version, s.version);
        vm.assertTrue(v.isFinal == s.isFinal);
        uint256[] memory sums = totals(s);
        for (uint256 row = 0; row < sums.length; ++row) {
            vm.assertEq(v.totals[row], sums[row]);
            for (uint256 i = 0; i < v.columns; ++i) {
                vm.assertEq(balances[row * v.columns + i], s.outcome.balances[row][i]);
            }
        }
        vm.assertEq(v.lockedCount, s.outcome.locked.length);
        for (uint256 k = 0; k < v.lockedCount; ++k) {
            checkLocked(s, k);
        }
    }

    function checkLocked(State memory s, uint256 k) private view {
        (bytes32 id, uint256[] memory locked, uint256[] memory indices) = harness.lockedOf(s, k);
        SubAlloc memory entry = s.outcome.locked[k];
        vm.assertEq(id, entry.ID);
        vm.assertEq(abi.encode(locked), abi.encode(entry.balances));
        vm.assertEq(abi.encode(indices), abi.encode(entry.indexMap));
    }

    /// Whatever word of the call is changed: either it is refused, or what is read is another value
    /// whose own encoding these bytes are.
    function testFuzzNoOtherSpelling(uint256 seed_) public {
        seed = seed_;
        bytes memory data = abi.encodeCall(harness.hashOf, (someState()));
        spoil(data);
        (bool ok, bytes memory answer) = address(harness).staticcall(data);
        if (!ok) return;
        State memory s = abi.decode(tail(data), (State));
        vm.assertEq(abi.decode(answer, (bytes32)), keccak256(abi.encode(s)));
    }

    function testFuzzNoOtherSpellingOfParams(uint256 seed_) public {
        seed = seed_;
        bytes memory data = abi.encodeCall(harness.idOf, (someParams()));
        spoil(data);
        (bool ok, bytes memory answer) = address(harness).staticcall(data);
        if (!ok) return;
        Params memory p = abi.decode(tail(data), (Params));
        vm.assertEq(abi.decode(answer, (bytes32)), keccak256(abi.encode(p)));
    }

    /// Changes a random word a little, as an attacker would an offset or a length.
    function spoil(bytes memory data) private {
        uint256 index = draw(0, (data.length - 4) / 32 - 1);
        uint256 kind = draw(0, 3);
        uint256 random = draw(0, 2 ** 16);
        assembly ("memory-safe") {
            let position := add(add(data, 0x24), mul(index, 0x20))
            let w := mload(position)
            switch kind
            case 0 { w := add(w, 0x20) }
            case 1 { w := sub(w, 0x20) }
            case 2 { w := add(w, 1) }
            default { w := add(w, shl(mod(random, 256), 1)) }
            mstore(position, w)
        }
    }

    function tail(bytes memory data) private pure returns (bytes memory out) {
        out = new bytes(data.length - 4);
        for (uint256 i = 0; i < out.length; ++i) {
            out[i] = data[i + 4];
        }
    }

    /// Two participants' offsets that point at one tuple would hide a second signer.
    function testSharedTuplesAreRefused() public {
        Params memory p = newParams(2);
        p.participants[1] = p.participants[0];
        bytes memory data = abi.encodeCall(harness.idOf, (p));
        // selector, offset, six words, count, then the two offsets
        setWord(data, 9, word(data, 8));
        (bool ok, bytes memory answer) = address(harness).staticcall(data);
        vm.assertTrue(!ok);
        vm.assertEq(bytes32(answer), bytes32(IHubErrors.NotCanonical.selector));
    }

    function word(bytes memory data, uint256 index) private pure returns (uint256 out) {
        assembly ("memory-safe") {
            out := mload(add(add(data, 0x24), mul(index, 0x20)))
        }
    }

    function setWord(bytes memory data, uint256 index, uint256 value) private pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 0x24), mul(index, 0x20)), value)
        }
    }

    // Limits.

    function badParams(Params memory p, bytes4 why) private {
        refuses(why);
        harness.idOf(p);
    }

    function testLimitsOfParams() public {
        badParams(newParams(1), IHubErrors.ParticipantCount.selector);
        badParams(newParams(17), IHubErrors.ParticipantCount.selector);
        Params memory p = newParams(3);
        p.participants[2] = Participant(who(0), "other");
        badParams(p, IHubErrors.DuplicateParticipant.selector);
        p.participants[2].ethAddress = address(0);
        badParams(p, IHubErrors.ZeroParticipant.selector);
        p = newParams(2);
        p.participants[0].ccAddress = new bytes(129);
        badParams(p, IHubErrors.ForeignBytes.selector);
        p = newParams(2);
        p.challengeDuration = 1799;
        badParams(p, IHubErrors.ChallengeDuration.selector);
        p.challengeDuration = 31_536_001;
        badParams(p, IHubErrors.ChallengeDuration.selector);
        p.challengeDuration = 1800;
        harness.idOf(p);
    }

    function bad(State memory s, bytes4 why) private {
        refuses(why);
        harness.hashOf(s);
    }

    function good() private returns (State memory) {
        return newState(newParams(2), 1, coin, list(1, 2));
    }

    function testLimitsOfAssets() public {
        State memory s = good();
        s.outcome.assets = new Asset[](0);
        bad(s, IHubErrors.AssetCount.selector);
        s = good();
        for (uint256 i = 0; i < 16; ++i) {
            addAsset(s, 1000 + i, address(0), list(0, 0));
        }
        bad(s, IHubErrors.AssetCount.selector);
        s = good();
        s.outcome.assets[0].ccHolder = new bytes(129);
        bad(s, IHubErrors.ForeignBytes.selector);
        s = good();
        addAsset(s, block.chainid, coin, list(0, 0));
        s.outcome.assets[1].ccHolder = "another name, the same money";
        bad(s, IHubErrors.DuplicateAsset.selector);
        s = good();
        addAsset(s, 7, address(0), list(0, 0));
        addAsset(s, 7, address(0), list(0, 0));
        bad(s, IHubErrors.DuplicateAsset.selector);
        s.outcome.assets[2].ccHolder = "another";
        harness.hashOf(s);
        s.outcome.assets[2].ccHolder = s.outcome.assets[1].ccHolder;
        s.outcome.backends[2] = 5;
        harness.hashOf(s);
    }

    function testLimitsOfBalances() public {
        State memory s = good();
        s.outcome.backends = list(1, 1);
        bad(s, IHubErrors.BalanceShape.selector);
        s = good();
        s.outcome.balances = new uint256[][](2);
        bad(s, IHubErrors.BalanceShape.selector);
        s = good();
        s.outcome.balances[0] = new uint256[](17);
        bad(s, IHubErrors.BalanceShape.selector);
        s.outcome.balances[0] = new uint256[](0);
        bad(s, IHubErrors.BalanceShape.selector);
        s = good();
        addAsset(s, 7, address(0), list(1, 2, 3));
        bad(s, IHubErrors.BalanceShape.selector);
        s = good();
        s.outcome.balances[0] = list(2 ** 128, 0);
        bad(s, IHubErrors.Amount.selector);
        s.outcome.balances[0] = list(2 ** 128 - 1, 1);
        bad(s, IHubErrors.Amount.selector);
        s.outcome.balances[0] = list(2 ** 128 - 2, 1);
        harness.hashOf(s);
        lock(s, good(), map(0, 1));
        bad(s, IHubErrors.Amount.selector);
    }

    function testLimitsOfLockedEntries() public {
        State memory s = good();
        s.outcome.locked = new SubAlloc[](33);
        for (uint256 i = 0; i < 33; ++i) {
            s.outcome.locked[i] = SubAlloc(bytes32(i), list(1), map(0, 1));
        }
        bad(s, IHubErrors.LockedCount.selector);
        s.outcome.locked = new SubAlloc[](2);
        s.outcome.locked[0] = SubAlloc(bytes32(0), list(1), map(0, 1));
        s.outcome.locked[1] = SubAlloc(bytes32(0), list(1), map(0, 1));
        bad(s, IHubErrors.DuplicateLocked.selector);
        s.outcome.locked[1] = SubAlloc(bytes32("x"), list(1, 2), map(0, 1));
        bad(s, IHubErrors.LockedShape.selector);
        s.outcome.locked[1] = SubAlloc(bytes32("x"), list(1), map(0, 2));
        bad(s, IHubErrors.LockedShape.selector);
        s.outcome.locked[1] = SubAlloc(bytes32("x"), list(1), new uint16[](3));
        bad(s, IHubErrors.LockedShape.selector);
        s.outcome.locked[1] = SubAlloc(bytes32("x"), list(1), map(1, 1));
        harness.hashOf(s);
    }

    function testLimitsOfDataAndVersion() public {
        State memory s = good();
        s.appData = new bytes(1025);
        bad(s, IHubErrors.DataLength.selector);
        s.appData = new bytes(1024);
        harness.hashOf(s);
        s.version = 2 ** 48;
        bad(s, IHubErrors.Version.selector);
        s.version = 2 ** 48 - 1;
        harness.hashOf(s);
    }
}
