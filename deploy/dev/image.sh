# The image that tests run commands in: a small Debian with sh, coreutils and git.

need_image() {
    engine run --rm --network none "$SANDGATE_TEST_IMAGE" git --version >/dev/null 2>&1 && return
    if timeout 60 docker -H "$(engine_host)" pull -q debian:12-slim >"$state/image.log" 2>&1; then
        add_git debian:12-slim
        return
    fi
    tarball=${XDG_CACHE_HOME:-$HOME/.cache}/sandgate/$image_release-git-$(uname -m).tar
    [ -f "$tarball" ] || build_image_tarball "$tarball"
    say "importing $tarball as $SANDGATE_TEST_IMAGE"
    engine import --change 'CMD ["/bin/sh"]' "$tarball" "$SANDGATE_TEST_IMAGE" >/dev/null
}

# add_git IMAGE makes the image of the tests out of one that lacks git.
add_git() {
    say "adding git to $1, as $SANDGATE_TEST_IMAGE"
    install='apt-get update && apt-get install -y --no-install-recommends git ca-certificates'
    made=$(engine create "$1" sh -c "$install && rm -rf /var/lib/apt/lists/*")
    engine start --attach "$made" >>"$state/image.log" 2>&1 || {
        engine rm "$made" >/dev/null
        fail "git could not be installed in $1; the reason is at the end of $state/image.log"
    }
    engine commit --change 'CMD ["/bin/sh"]' "$made" "$SANDGATE_TEST_IMAGE" >/dev/null
    engine rm "$made" >/dev/null
}

build_image_tarball() {
    is_root || fail "no $SANDGATE_TEST_IMAGE and no registry: pull debian:12-slim and tag it so, or run once as root"
    need_packages debootstrap:debootstrap
    say "no registry answers: building a Debian $image_release with debootstrap, once, into $1 (about 1 minute)"
    mkdir -p "$(dirname "$1")"
    folder=$(mktemp -d "$state/image.XXXXXX")
    # shellcheck disable=SC2046 # no mirror is no argument
    debootstrap --variant=minbase --include=git,ca-certificates "$image_release" "$folder/tree" $(apt_mirror) >"$state/image.log" 2>&1 || {
        rm -rf "$folder"
        fail "debootstrap failed; the reason is at the end of $state/image.log"
    }
    for bulk in var/cache/apt/archives var/lib/apt/lists usr/share/doc usr/share/man usr/share/locale; do
        rm -rf "${folder:?}/tree/$bulk"
        mkdir -p "$folder/tree/$bulk"
    done
    tar -C "$folder/tree" --numeric-owner -cf "$folder/image.tar" .
    mv "$folder/image.tar" "$1"
    rm -rf "$folder"
}

# The mirror that this machine's apt uses for the release; nothing lets debootstrap choose.
apt_mirror() {
    apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Identifier: Packages' 2>/dev/null |
        awk -v release="$image_release" '$1 == release { print $2; exit }'
}
