#!/bin/sh
# What `make test` does: sets up, checks everything, and ends the Docker Engine if it started one.
set -eu
. "$(dirname "$0")/common.sh"
. deploy/dev/engine.sh

if ! engine_answers; then
    trap 'sh deploy/dev/setup.sh stop' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
fi
sh deploy/dev/setup.sh test
sh deploy/dev/check.sh fmt clippy deny proto sqlx test
