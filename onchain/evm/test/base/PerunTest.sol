// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PerunHub} from "../../src/PerunHub.sol";
import {IHubErrors} from "../../src/interfaces/IHubErrors.sol";
import {IPerunHub} from "../../src/interfaces/IPerunHub.sol";
import {
    Allocation,
    Asset,
    Binding,
    Deposit,
    Move,
    Params,
    Participant,
    SignedState,
    Source,
    State,
    SubAlloc,
    WithdrawalAuth,
    WithdrawalV2
} from "../../src/interfaces/Types.sol";
import {TestToken} from "../tokens/TestToken.sol";
import {Vm} from "./Vm.sol";

/// @title What every story starts from: a hub, a token, keys, and channels that are easily made.
/// @notice Stories change what the builders return before they sign it.
abstract contract PerunTest {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 internal constant DURATION = 3600;
    address internal constant RELAYER = address(0xE1A7);

    IPerunHub internal hub;
    TestToken internal token;
    /// The holder of the coin, and that of the token.
    address internal coin;
    address internal facade;
    uint256 private _nonce;

    function setUp() public virtual {
        vm.warp(1_700_000_000);
        hub = IPerunHub(address(new PerunHub()));
        token = new TestToken();
        coin = address(hub);
        facade = hub.createFacade(address(token));
        vm.deal(address(this), 1e30);
        token.mint(address(this), 1e30);
        token.approve(address(hub), type(uint256).max);
    }

    receive() external payable {}

    // Keys.

    function key(uint256 index) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("perun test key", index)));
    }

    function who(uint256 index) internal pure returns (address) {
        return vm.addr(key(index));
    }

    function sign(uint256 index, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key(index), digest);
        return abi.encodePacked(r, s, v);
    }

    function eip191(bytes32 hash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", hash));
    }

    // Channels of the participants 0 .. count-1.

    function newParams(uint256 count) internal returns (Params memory p) {
        p.challengeDuration = DURATION;
        p.nonce = ++_nonce;
        p.participants = new Participant[](count);
        for (uint256 i = 0; i < count; ++i) {
            p.participants[i] = Participant(who(i), new bytes(32));
        }
        p.ledgerChannel = true;
    }

    function idOf(Params memory p) internal pure returns (bytes32) {
        return keccak256(abi.encode(p));
    }

    function fid(Params memory p, uint256 index) internal pure returns (bytes32) {
        return keccak256(abi.encode(idOf(p), p.participants[index].ethAddress));
    }

    /// A state of one asset: `balances` of the participants.
    function newState(Params memory p, uint64 version, address holder, uint256[] memory balances)
        internal
        view
        returns (State memory s)
    {
        s.channelID = idOf(p);
        s.version = version;
        s.outcome.assets = new Asset[](1);
        s.outcome.assets[0] = Asset(block.chainid, holder, new bytes(32));
        s.outcome.backends = list(1);
        s.outcome.balances = new uint256[][](1);
        s.outcome.balances[0] = balances;
    }

    function addAsset(State memory s, uint256 chain, address holder, uint256[] memory balances)
        internal
        pure
    {
        uint256 count = s.outcome.assets.length;
        Allocation memory old = s.outcome;
        s.outcome = Allocation(
            new Asset[](count + 1),
            new uint256[](count + 1),
            new uint256[][](count + 1),
            old.locked
        );
        for (uint256 i = 0; i < count; ++i) {
            s.outcome.assets[i] = old.assets[i];
            s.outcome.backends[i] = old.backends[i];
            s.outcome.balances[i] = old.balances[i];
        }
        s.outcome.assets[count] = Asset(chain, holder, new bytes(32));
        s.outcome.backends[count] = holder == address(0) ? 3 : 1;
        s.outcome.balances[count] = balances;
    }

    /// Locks the whole of a child's state; balances are left as they are.
    function lock(State memory s, State memory child, uint16[] memory indices) internal pure {
        SubAlloc[] memory old = s.outcome.locked;
        s.outcome.locked = new SubAlloc[](old.length + 1);
        for (uint256 i = 0; i < old.length; ++i) {
            s.outcome.locked[i] = old[i];
        }
        s.outcome.locked[old.length] = SubAlloc(child.channelID, totals(child), indices);
    }

    function totals(State memory s) internal pure returns (uint256[] memory out) {
        out = new uint256[](s.outcome.assets.length);
        for (uint256 row = 0; row < out.length; ++row) {
            for (uint256 i = 0; i < s.outcome.balances[row].length; ++i) {
                out[row] += s.outcome.balances[row][i];
            }
            for (uint256 k = 0; k < s.outcome.locked.length; ++k) {
                out[row] += s.outcome.locked[k].balances[row];
            }
        }
    }

    function signAll(Params memory p, State memory s) internal pure returns (bytes[] memory) {
        return signAllDigest(p, eip191(keccak256(abi.encode(s))));
    }

    /// Signatures of everybody in `p`, whose keys are among the first sixteen.
    function signAllDigest(Params memory p, bytes32 digest)
        internal
        pure
        returns (bytes[] memory sigs)
    {
        sigs = new bytes[](p.participants.length);
        for (uint256 i = 0; i < sigs.length; ++i) {
            uint256 index = 0;
            while (who(index) != p.participants[i].ethAddress) {
                require(++index < 16, "no such key");
            }
            sigs[i] = sign(index, digest);
        }
    }

    function signed(Params memory p, State memory s) internal pure returns (SignedState memory) {
        return SignedState(p, s, signAll(p, s));
    }

    function register(Params memory p, State memory s) internal {
        hub.register(signed(p, s), new SignedState[](0));
    }

    // Money.

    function put(Params memory p, uint256 index, address holder, uint256 amount) internal {
        Deposit[] memory d = new Deposit[](1);
        d[0] = Deposit(holder, p.participants[index].ethAddress, amount, Source.Sender, "");
        hub.open{value: holder == coin ? amount : 0}(idOf(p), d, new Binding[](0));
    }

    function fund(Params memory p, address holder, uint256 one, uint256 two) internal {
        put(p, 0, holder, one);
        put(p, 1, holder, two);
    }

    function balanceOf(address holder, address account) internal view returns (uint256) {
        return holder == coin ? account.balance : token.balanceOf(account);
    }

    function auth(Params memory p, uint256 index, address receiver, uint256 amount)
        internal
        pure
        returns (WithdrawalAuth memory a, bytes memory sig)
    {
        a = WithdrawalAuth(
            idOf(p), Participant(p.participants[index].ethAddress, ""), receiver, amount
        );
        sig = sign(index, eip191(keccak256(abi.encode(a))));
    }

    function typed(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", hub.domainSeparator(), structHash));
    }

    // Lists.

    function list(uint256 a) internal pure returns (uint256[] memory out) {
        out = new uint256[](1);
        out[0] = a;
    }

    function list(uint256 a, uint256 b) internal pure returns (uint256[] memory out) {
        out = new uint256[](2);
        (out[0], out[1]) = (a, b);
    }

    function list(uint256 a, uint256 b, uint256 c) internal pure returns (uint256[] memory out) {
        out = new uint256[](3);
        (out[0], out[1], out[2]) = (a, b, c);
    }

    function map(uint16 a, uint16 b) internal pure returns (uint16[] memory out) {
        out = new uint16[](2);
        (out[0], out[1]) = (a, b);
    }

    function none() internal pure returns (State[] memory) {}

    function noSubs() internal pure returns (SignedState[] memory) {}

    function refuses(bytes4 selector) internal {
        vm.expectRevert(selector);
    }
}
