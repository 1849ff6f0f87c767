#!/bin/sh
# Runs the named checks in order and ends at the first that fails.
# Usage: check.sh fmt|clippy|deny|proto|sqlx|test...
set -eu
. "$(dirname "$0")/common.sh"

# The programs that can be built to die or fail at a step.
failpoints=sandgate-gateway/failpoints,sandgate-provider-local/failpoints,sandgate-provider-container/failpoints,sandgate-provider-e2b/failpoints

for check in "$@"; do
    case $check in
    fmt)
        say "format: cargo fmt"
        cargo fmt --all --check
        ;;
    clippy)
        say "lints: cargo clippy"
        cargo clippy --workspace --all-targets --locked -- -D warnings
        say "lints: cargo clippy, of the programs that fail where a test says so"
        # The whole workspace, so that only what has the feature is checked anew.
        cargo clippy --workspace --lib --bins --locked --features "$failpoints" -- -D warnings
        ;;
    deny)
        say "dependencies: cargo deny (bans, licences, sources)"
        cargo-deny --locked check --hide-inclusion-graph bans licenses sources
        ;;
    proto)
        say "contract: buf lint"
        buf lint
        say "contract: buf breaking against proto/baseline.binpb"
        buf breaking --against proto/baseline.binpb
        ;;
    sqlx)
        say "queries: is .sqlx up to date"
        sh deploy/dev/sqlx.sh check
        ;;
    test)
        say "tests: cargo test"
        # All but documentation tests, of which there are none.
        cargo test --workspace --locked --lib --bins --tests
        ;;
    *)
        fail "check.sh knows no check named $check"
        ;;
    esac
done
