#!/bin/sh
# The offline data of the checked SQL queries, in .sqlx: what lets the gateway build without a database.
# Usage: sqlx.sh write|check
#
# Does what `cargo sqlx prepare` does, without that tool: with a database at DATABASE_URL and a folder
# in SQLX_OFFLINE_DIR, each query macro writes one file there as it is expanded.
set -eu
. "$(dirname "$0")/common.sh"

crate=sandgate-gateway
migrations=gateway/migrations

make_database() {
    have python3 || fail "python3 is missing: install it (apt-get install python3), run again"
    python3 - "$migrations" "$1" <<'PYTHON'
import pathlib, sqlite3, sys

folder, database = sys.argv[1:]
with sqlite3.connect(database) as connection:
    for migration in sorted(pathlib.Path(folder).glob("*.sql")):
        try:
            connection.executescript(migration.read_text())
        except sqlite3.Error as error:
            sys.exit(f"sandgate: {migration} is not valid: {error}")
PYTHON
}

# A flag that no build had before makes cargo expand the macros of this one crate again, and of no
# other; the flag itself means nothing.
expand_macros() {
    SQLX_OFFLINE=false SQLX_OFFLINE_DIR=$2 DATABASE_URL=sqlite://$1 \
        cargo rustc --quiet --locked -p "$crate" --lib --profile check -- --cfg "expanded_$(date +%s)_$$"
}

if [ ! -d "$migrations" ] || [ ! -f gateway/Cargo.toml ]; then
    say "nothing to check: there is no $migrations yet"
    exit 0
fi
folder=$(mktemp -d "$state/sqlx.XXXXXX")
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/fresh"
make_database "$folder/schema.db"
expand_macros "$folder/schema.db" "$folder/fresh"

case ${1:-} in
write)
    rm -rf .sqlx
    mv "$folder/fresh" .sqlx
    say "wrote $(find .sqlx -name 'query-*.json' | wc -l) queries to .sqlx"
    ;;
check)
    mkdir -p "$folder/none"
    committed=.sqlx
    [ -d "$committed" ] || committed=$folder/none
    diff -r "$committed" "$folder/fresh" >"$state/sqlx.diff" ||
        fail "the queries and .sqlx differ: run \`make sqlx\` and commit .sqlx; differences are in $state/sqlx.diff"
    ;;
*)
    fail "usage: sqlx.sh write|check"
    ;;
esac
