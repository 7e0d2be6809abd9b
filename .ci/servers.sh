# PostgreSQL and MariaDB for the tests of the store: source this file from bash. It installs what is missing
# (as root, with apt-get), starts private servers on free ports of this machine with their data in a temporary
# directory, exports SUPERBIN_TEST_POSTGRESQL_URL, SUPERBIN_TEST_MARIADB_URL and SUPERBIN_REQUIRE_SERVERS=1, and
# stops and removes everything when the shell that sourced it ends.
#
#     (. .ci/servers.sh && pytest tests/integration)

superbin_free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Run as the account the package made for its server, which refuses to run as root.
superbin_as() {
  local account=$1
  shift
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u "$account" -- "$@"); else "$@"; fi
}

superbin_install_servers() {
  local missing=()
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
  command -v mariadb-install-db >/dev/null || missing+=(mariadb-server)
  [ ${#missing[@]} = 0 ] && return
  # The packages would start their own servers with the machine's defaults; nobody uses those.
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

superbin_start_postgresql() {
  local data=$superbin_servers/postgresql port bin log
  bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1)
  port=$(superbin_free_port)
  log=$superbin_servers/postgresql.log
  mkdir "$data"
  [ "$(id -u)" = 0 ] && chown postgres "$data"
  superbin_as postgres "$bin/initdb" -D "$data" -U superbin -A trust -E UTF8 --locale=C --no-sync >"$log"
  superbin_as postgres "$bin/pg_ctl" -D "$data" -w -l "$data/server.log" \
    -o "-p $port -k $data -c listen_addresses=127.0.0.1 -c fsync=off" start >>"$log"
  superbin_stop_postgresql="superbin_as postgres $bin/pg_ctl -D $data -m immediate stop"
  export SUPERBIN_TEST_POSTGRESQL_URL="postgresql://superbin@127.0.0.1:$port/postgres"
}

superbin_start_mariadb() {
  local data=$superbin_servers/mariadb port log
  port=$(superbin_free_port)
  log=$superbin_servers/mariadb.log
  mkdir "$data"
  [ "$(id -u)" = 0 ] && chown mysql "$data"
  superbin_as mysql mariadb-install-db --no-defaults --datadir="$data" --skip-test-db \
    --auth-root-authentication-method=normal >"$log"
  printf '%s\n' "CREATE USER superbin@'127.0.0.1';" "GRANT ALL ON *.* TO superbin@'127.0.0.1' WITH GRANT OPTION;" >"$data/init.sql"
  superbin_as mysql mariadbd --no-defaults --datadir="$data" --socket="$data/socket" --pid-file="$data/pid" \
    --port="$port" --bind-address=127.0.0.1 --skip-name-resolve --init-file="$data/init.sql" \
    --innodb-flush-log-at-trx-commit=0 >>"$log" 2>&1 &
  superbin_stop_mariadb="mariadb-admin --no-defaults --socket=$data/socket --user=root shutdown"
  local attempt
  for attempt in $(seq 1 120); do
    mariadb-admin --no-defaults --socket="$data/socket" --user=root ping >/dev/null 2>&1 && break
    [ "$attempt" = 120 ] && { cat "$log" >&2; return 1; }
    sleep 0.25
  done
  export SUPERBIN_TEST_MARIADB_URL="mariadb://superbin@127.0.0.1:$port/mysql"
}

superbin_stop_servers() {
  $superbin_stop_postgresql >/dev/null 2>&1 || true
  $superbin_stop_mariadb >/dev/null 2>&1 || true
  rm -rf "$superbin_servers"
}

# What the sourcing shell does when it ends stays, and comes after ours.
superbin_chain_exit() {
  eval "set -- $(trap -p EXIT)"
  # shellcheck disable=SC2064
  trap "superbin_stop_servers; ${3-}" EXIT
}

superbin_servers=$(mktemp -d)
chmod 755 "$superbin_servers"
superbin_stop_postgresql=true
superbin_stop_mariadb=true
superbin_chain_exit
superbin_install_servers
superbin_start_postgresql
superbin_start_mariadb
export SUPERBIN_REQUIRE_SERVERS=1
