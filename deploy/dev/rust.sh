# Rust is the one thing that is not installed for you.

# need_rust [fmt|clippy]... checks the toolchain that rust-toolchain.toml pins, and its parts.
need_rust() {
    have cargo || fail "Rust is missing. Install rustup (https://rustup.rs), open a new shell, run again"
    toolchain=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    advice="run: rustup toolchain install $toolchain --component rustfmt --component clippy"
    found=$(rustc --version 2>/dev/null) || fail "Rust $toolchain is missing; $advice"
    case $found in
    "rustc $toolchain "*) ;;
    *) fail "this project needs Rust $toolchain, found '$found'; $advice" ;;
    esac
    for part in "$@"; do
        cargo "$part" --version >/dev/null 2>&1 || fail "cargo $part is missing; $advice"
    done
}
