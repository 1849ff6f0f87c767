#!/bin/sh
# Sets up what a target of the Makefile needs and says each thing before it is installed.
# Usage: setup.sh run|lint|test|bench|stop
set -eu
. "$(dirname "$0")/common.sh"
. deploy/dev/packages.sh
. deploy/dev/rust.sh
. deploy/dev/tools.sh
. deploy/dev/engine.sh
. deploy/dev/image.sh

# The C compiler links Rust programs and builds the embedded SQLite; bubblewrap is what the local
# provider makes its sandboxes with.
need_build() { need_packages cc:gcc,libc6-dev; }
need_local() { need_packages bwrap:bubblewrap; }
# Sandboxes on this machine have its git, and the tests serve repositories with it.
need_git() { need_packages git:git; }

# The clouds' own SDKs run against their emulators: in Python, with packages of their own, and in
# JavaScript.
need_sdks() {
    need_packages python3:python3 node:nodejs npm:npm
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    node -e 'const [a, b] = process.versions.node.split("."); process.exit(+(a < 20 || a == 20 && b < 19))' ||
        fail "Node is too old for E2B's SDK: install 20.19 or later (https://nodejs.org), run again"
}

need_lint() {
    need_rust fmt clippy
    need_build
    need_buf
    need_cargo_deny
}

case ${1:-} in
run)
    need_rust
    need_build
    need_local
    ;;
lint)
    need_lint
    ;;
test)
    need_lint
    need_local
    need_git
    need_packages ip:iproute2
    need_sdks
    need_grpcurl
    need_engine
    need_image
    ;;
bench)
    need_rust
    need_build
    need_local
    need_packages nginx:nginx
    need_engine
    need_image
    ;;
stop)
    stop_engine
    ;;
*)
    fail "usage: setup.sh run|lint|test|bench|stop"
    ;;
esac
