# A Docker Engine for the tests: uses the one that answers, else starts one and remembers its pid.
#
# SANDGATE_DEV_ENGINE_SOCKET   start ours at this socket, with its data beside it, and use it
# SANDGATE_DEV_ENGINE_OPTIONS  more options for dockerd, as --bridge=none for a second engine

engine_pid_file=$state/engine.pid
engine_log=$state/engine.log

if [ -n "${SANDGATE_DEV_ENGINE_SOCKET:-}" ]; then
    CONTAINER_SANDBOX_DOCKER_HOST=unix://$SANDGATE_DEV_ENGINE_SOCKET
    export CONTAINER_SANDBOX_DOCKER_HOST
fi

# The address that the container provider would use too.
engine_host() {
    printf '%s' "${CONTAINER_SANDBOX_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"
}

# engine ARGUMENTS... is the docker command at that address. It agrees with an older engine on an
# older API, so whose docker it is does not matter.
engine() { docker -H "$(engine_host)" "$@"; }

engine_answers() {
    have docker && timeout 20 docker -H "$(engine_host)" version >/dev/null 2>&1
}

need_engine() {
    engine_answers && return
    if [ -z "${SANDGATE_DEV_ENGINE_SOCKET:-}" ] &&
        [ -n "${CONTAINER_SANDBOX_DOCKER_HOST:-}${DOCKER_HOST:-}" ]; then
        fail "no Docker Engine answers at $(engine_host): start it, or unset the variable that names it"
    fi
    { is_root && have apt-get; } ||
        fail "the tests need a Docker Engine: start one, and let this user reach $(engine_host)"
    have docker || client=docker.io
    need_packages dockerd:docker.io containerd:containerd runc:runc iptables:iptables ${client:+docker:$client}
    engine_answers || start_engine
}

start_engine() {
    socket=${SANDGATE_DEV_ENGINE_SOCKET:-}
    set --
    [ -z "$socket" ] || set -- --data-root "$socket.data" --exec-root "$socket.run" --pidfile "$socket.pid"
    say "starting a Docker Engine at $(engine_host), log in ${engine_log#"$root"/}"
    # Without --live-restore its containers end with it. A session of its own keeps Ctrl-C from it:
    # it is ended by stop_engine, after the tests.
    # shellcheck disable=SC2086 # the options are words
    PATH=$(engine_path) setsid dockerd -H "$(engine_host)" "$@" ${SANDGATE_DEV_ENGINE_OPTIONS:-} \
        >"$engine_log" 2>&1 </dev/null &
    started=$!
    printf '%s\n' "$started" >"$engine_pid_file"
    # It is a shell until it has become dockerd, so that only its end counts.
    for _ in $(seq 60); do
        engine_answers && return
        kill -0 "$started" 2>/dev/null || break
        sleep 0.5
    done
    tail -n 20 "$engine_log" >&2
    stop_engine
    fail "the Docker Engine did not start; its last lines are above, all of them in $engine_log"
}

# dockerd calls `iptables`. Where that is the nftables one and the kernel lacks what it needs, a
# folder with the legacy one under that name goes first, for dockerd alone.
engine_path() {
    if ! iptables -t nat -L -n >/dev/null 2>&1 && iptables-legacy -t nat -L -n >/dev/null 2>&1; then
        mkdir -p "$state/legacy"
        for name in iptables ip6tables; do
            ln -sf "$(command -v $name-legacy)" "$state/legacy/$name"
        done
        printf '%s:' "$state/legacy"
    fi
    printf '%s' "$PATH"
}

# Whether the engine that we started still runs, and its pid has not gone to something else.
engine_is_ours() {
    pid=$(cat "$engine_pid_file" 2>/dev/null) &&
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]
}

# Stops the engine that we started; never another.
stop_engine() {
    if engine_is_ours; then
        say "stopping the Docker Engine that was started here"
        kill "$pid"
        for _ in $(seq 60); do
            engine_is_ours || break
            sleep 0.5
        done
        engine_is_ours && fail "dockerd (pid $pid) does not end; see $engine_log"
    fi
    rm -f "$engine_pid_file"
}
