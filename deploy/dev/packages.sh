# Debian and Ubuntu packages: installs what is missing, says so first, updates the lists once a run.

lists_are_fresh=no

# need_packages COMMAND:PACKAGE... installs the package of every command that is not there.
# One command may need several packages: COMMAND:PACKAGE,PACKAGE.
need_packages() {
    missing=
    for need in "$@"; do
        have "${need%%:*}" || missing="$missing $(printf '%s' "${need#*:}" | tr ',' ' ')"
    done
    [ -n "$missing" ] || return 0
    install_packages $missing
    for need in "$@"; do
        have "${need%%:*}" || fail "${need%%:*} is still missing after apt-get; install it by hand"
    done
}

install_packages() {
    have apt-get || fail "install these yourself (named as in Debian), then run again: $*"
    as_root=
    if ! is_root; then
        have sudo || fail "not root and no sudo; have someone run: apt-get install $*"
        as_root=sudo
    fi
    say "installing $* (${as_root:+sudo }apt-get)"
    if [ "$lists_are_fresh" = no ]; then
        $as_root apt-get update -q >"$state/apt.log" 2>&1 ||
            printf 'sandgate: apt-get update had trouble, see %s\n' "$state/apt.log" >&2
        lists_are_fresh=yes
    fi
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@" >>"$state/apt.log" 2>&1 ||
        fail "could not install $*; the reason is at the end of $state/apt.log"
}
