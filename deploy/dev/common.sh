# Sourced by every script here: where things are, how to speak, how to give up.

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
. deploy/dev/versions.sh

tools=$root/.tools
state=$root/target/dev
mkdir -p "$state"
PATH=$tools/bin:$tools/node_modules/.bin:$PATH
SANDGATE_TEST_IMAGE=${SANDGATE_TEST_IMAGE:-sandgate-test:$image_release}
export PATH SANDGATE_TEST_IMAGE

# One line for what happens now.
say() { printf '==> %s\n' "$*"; }

# What is wrong and what to do; ends the script.
fail() {
    printf 'sandgate: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" = 0 ]; }
