#!/bin/sh
# Breaks one rule of the contracts at a time, in a scratch copy, and expects the named test to fail.
# `tools/mutants.sh I5` does only those whose label begins so. MUTANTS_OUT keeps the copy.
set -eu

cd "$(dirname "$0")/.."
here=$PWD
PATH="$here/node_modules/@foundry-rs/forge-linux-amd64/bin:$here/node_modules/.bin:$PATH"
# Tests find contracts by name: so a mutant does not compile them again.
FOUNDRY_DYNAMIC_TEST_LINKING=true
export PATH FOUNDRY_DYNAMIC_TEST_LINKING

copy=${MUTANTS_OUT:-$(mktemp -d)}
mkdir -p "$copy/onchain/evm"
[ -n "${MUTANTS_OUT:-}" ] || trap 'rm -rf "$copy"' EXIT
rm -rf "$copy/onchain/evm/src" "$copy/onchain/evm/test"
cp -R src test tools foundry.toml "$copy/onchain/evm/"
# Those that reach into libraries would be compiled for every mutant.
rm -rf "$copy/onchain/evm/test/proofs"
ln -sfn "$here/node_modules" "$copy/onchain/evm/node_modules"
cp -R ../../vectors "$copy/" 2>/dev/null || true
cd "$copy/onchain/evm"
forge build --quiet

# Label @ file @ test @ what stands there, once @ what is put there.
list() {
  cat <<'LIST'
I1 a credit is paid again@HubDesk.sol@invariant_I1_@_credit[account][holder] = waiting - amount;@
I2 a participant counts twice@lib/Encoding.sol@invariant_I2_@revert IHubErrors.DuplicateParticipant();@
I3 an older version@Disputes.sol@invariant_I3_@if (state.version <= record.version()) revert IHubErrors.Version();@
I3 a window is prolonged@Disputes.sol@testARefutationMustBeNewerAndInTime@if (!state.isFinal) timeout = record.timeout();@if (!state.isFinal) timeout += channel.duration;
I4 a root within its window@Disputes.sol@invariant_I4_@if (!record.isOver(forced)) revert IHubErrors.WindowOpen();@
I4 a child within its window@Disputes.sol@invariant_I4_@if (!record.isOver(sub.isFinal ? 0 : _forced[key])) revert IHubErrors.WindowOpen();@
I4 closed by what is not final@Disputes.sol@invariant_I4_@if (!last.isFinal) revert IHubErrors.NotFinal();@
I4 a stranger's child@Disputes.sol@invariant_I4_@if (child.isVirtual) return;@return;
I4 a child's app has no time@Disputes.sol@invariant_I4_@if (isFirst && channel.app != address(0)) _forced[key] = channel.duration;@
I4 a swap refunded early@Disputes.sol@invariant_I4_@if (block.timestamp < Swap.expiry(root)) revert IHubErrors.SwapPending();@
I5 no refutation@Disputes.sol@invariant_I5_@if (block.timestamp >= record.timeout()) revert IHubErrors.RefutationOver();@revert IHubErrors.RefutationOver();
I5 a child's outcome for another@Disputes.sol@invariant_I5_@uint256 to = state.mapped(entry, i);@uint256 to = i;
I6 an authorisation again@HubBase.sol@invariant_I6_@_used[digest] = true;@
I6 a part by Perun's authorisation@PerunHub.sol@invariant_I6_@if (amount != auth.amount) revert IHubErrors.NotFullHolding();@amount = auth.amount < amount ? auth.amount : amount;
I6 a payee again@Deposits.sol@invariant_I6_@revert IHubErrors.PayeeBound();@{}
I7 a kept outcome is forgotten@Disputes.sol@invariant_I7_@if (_outcomes[key].length != 0) return;@
I8 columns@HubBase.sol@invariant_I8_@if (state.columns != channel.count) revert IHubErrors.BalanceShape();@
I8 a participant without a key@lib/Encoding.sol@invariant_I8_@if (signer == 0) revert IHubErrors.ZeroParticipant();@
I8 any duration@lib/Encoding.sol@invariant_I8_@if (duration < MIN_CHALLENGE || duration > MAX_CHALLENGE) {@if (duration > MAX_CHALLENGE) {
I8 a leg larger than the balance@lib/Swap.sol@invariant_I8_@&& l.amount <= state.balance(l.asset, l.from);@;
I9 another hash@HubDesk.sol@invariant_I9_@return keccak256(abi.encode(state));@return keccak256(abi.encode(state.channelID));
I10 high s@lib/Sig.sol@invariant_I10_@iszero(gt(s, HALF))@1
I10 longer signatures@lib/Sig.sol@invariant_I10_@if (sig.length != 65) return address(0);@if (sig.length < 65) return address(0);
I11 too little is distributed@lib/Settlement.sol@invariant_I11_@outcome[first + i] = deposits[i];@outcome[first + i] = i == 0 ? held : 0;
L the padding of a log@lib/Calldata.sol@testALogHoldsNothingOfTheOneBefore@mstore(next, 0)@
W1 twice the same@lib/Encoding.sol@testW1OneAddressIsOneParticipant@revert IHubErrors.DuplicateParticipant();@
W2 its own clock@Disputes.sol@testW2AChildEndsByItsOwnClock@if (!record.isOver(sub.isFinal ? 0 : _forced[key])) revert IHubErrors.WindowOpen();@
W2 its participants@Disputes.sol@testW2AParentHasItsChildsParticipants@if (child.isVirtual) return;@return;
W3 time for a child's app@Disputes.sol@testW3AChildsAppIsGivenTimeToForceAStep@if (isFirst && channel.app != address(0)) _forced[key] = channel.duration;@
W4 once and for all@PerunHub.sol@testW4APerunAuthorisationIsGoodOnceAndForAll@if (amount != auth.amount) revert IHubErrors.NotFullHolding();@
W4 bound to the chain@lib/Typed.sol@testW4ATypedAuthorisationNamesAssetHubAndChain@block.chainid, address(this)@uint256(1), address(this)
W5 one holder twice@lib/Encoding.sol@testW5OneHolderStandsOnce@if (_same(v, i, j)) revert IHubErrors.DuplicateAsset();@
W5 durations@lib/Encoding.sol@testW5DurationsAreBounded@if (duration < MIN_CHALLENGE || duration > MAX_CHALLENGE) {@if (duration < MIN_CHALLENGE) {
W5 index maps@lib/Encoding.sol@testW5IndexMapsStayInside@if ((position + size + 32 * i).at() >= v.columns) {@if (false) {
W6 exact refunds@lib/Settlement.sol@testW6TooLittleGoesBackExactly@if (held >= owed) return;@return;
W7 what arrives@Deposits.sol@testW7OnlyWhatArrivesIsCredited@if (now_ < before || now_ - before != amount) revert IHubErrors.TokenDelta();@
W10 the other half of s@lib/Sig.sol@testW10ASignatureHasOneSpelling@iszero(gt(s, HALF))@1
Tree depth@Disputes.sol@testTheDepthOfOneCallIsBounded@if (depth > MAX_DEPTH) revert IHubErrors.TreeDepth();@
Tree assets@Disputes.sol@testAChildHasTheParentsAssetsAndWhatIsLocked@if (sub.assetsHash() != state.assetsHash()) revert IHubErrors.Assets();@
Tree sums@Disputes.sol@testAChildHasTheParentsAssetsAndWhatIsLocked@if (sub.totals[row] != state.lockedAmount(entry, row)) revert IHubErrors.Sum();@
Tree map length@Disputes.sol@testIndexMapsCoverTheChildAndNameItsParticipants@if (state.mapLength(entry) < child.count) revert IHubErrors.LockedShape();@
Swap preimage@lib/Swap.sol@testAClaimMovesTheLegsOfThisChain@if (sha256(abi.encode(preimage)) != bytes32((state.data + 1).at())) {@if (false) {
Swap legs elsewhere@lib/Swap.sol@testAClaimMovesTheLegsOfThisChain@if (state.native(l.asset) == address(0)) continue;@
Step version@HubDesk.sol@testIllegalSteps@if (to.version != from.version + 1) revert IHubErrors.Version();@
Step sums@HubDesk.sol@testIllegalSteps@if (from.totals[row] != to.totals[row]) revert IHubErrors.Sum();@
Log of a state@lib/Encoding.sol@testStatesAreLoggedInFewBytes@next = next.appendCall(v.backends, 32 * count);@
Log of signatures@Disputes.sol@testWhatIsRecordedAndLogged@next = Calldata.appendSignatures(state.append(next), sigs);@next = state.append(next);
Consent signatures@HubDesk.sol@testEverybodyMustConsentInTime@_checkAll(channel, digest, sigs);@
LIST
}

caught=0
total=0
work=$(mktemp)
list > "$work"
while IFS=@ read -r label file test old new; do
  case $label in "${1:-}"*) ;; *) continue ;; esac
  total=$((total + 1))
  cp "$here/src/$file" "src/$file"
  OLD=$old NEW=$new node -e '
    const fs = require("fs");
    const [file] = process.argv.slice(1);
    const parts = fs.readFileSync(file, "utf8").split(process.env.OLD);
    if (parts.length !== 2) { console.error("not there once: " + process.env.OLD); process.exit(1); }
    fs.writeFileSync(file, parts.join(process.env.NEW));
  ' "src/$file"
  if forge test --match-test "$test" > run.log 2>&1; then
    echo "SURVIVED  $label ($test)"
  elif grep -q '^\[FAIL' run.log; then
    caught=$((caught + 1))
    echo "caught    $label: $(grep -m 1 '^\[FAIL' run.log | cut -c 1-90)"
  else
    echo "NO RUN    $label"
    tail -n 15 run.log
  fi
  cp "$here/src/$file" "src/$file"
done < "$work"
rm -f "$work"
echo "caught $caught of $total"
[ "$caught" -eq "$total" ]
