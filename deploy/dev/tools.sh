# Tools of a pinned version, each in .tools/ and nowhere else. One that is right is left alone.

need_buf() {
    [ "$(buf --version 2>/dev/null)" = "$buf_version" ] && return
    need_packages npm:npm
    say "installing buf $buf_version into .tools (npm)"
    mkdir -p "$tools"
    npm install --prefix "$tools" --no-save --no-package-lock --no-audit --no-fund \
        "@bufbuild/buf@$buf_version" >"$state/buf.log" 2>&1 ||
        fail "npm could not install buf; the reason is in $state/buf.log"
}

need_cargo_deny() {
    [ "$("$tools/bin/cargo-deny" --version 2>/dev/null)" = "cargo-deny $cargo_deny_version" ] && return
    say "installing cargo-deny $cargo_deny_version into .tools (cargo, about 2 minutes)"
    cargo install --quiet --locked --root "$tools" cargo-deny --version "$cargo_deny_version" \
        >"$state/cargo-deny.log" 2>&1 ||
        fail "cargo could not install cargo-deny; the reason is in $state/cargo-deny.log"
}

need_grpcurl() {
    module=github.com/fullstorydev/grpcurl
    have go || fail "Go is missing, for grpcurl: install Go 1.24 or later (https://go.dev/dl), run again"
    go version -m "$tools/bin/grpcurl" 2>/dev/null | grep -q "${module}[[:space:]]$grpcurl_version" && return
    say "installing grpcurl $grpcurl_version into .tools (go, about 1 minute)"
    GOBIN=$tools/bin go install "$module/cmd/grpcurl@$grpcurl_version" >"$state/grpcurl.log" 2>&1 ||
        fail "go could not install grpcurl; the reason is in $state/grpcurl.log"
}
