#!/bin/sh
# Installs the servers that some tests run for themselves (PostgreSQL), where that can be done without asking: as root, with
# apt-get. Does nothing where they are there. Always succeeds; tests without their server are skipped by name.
set -u

has_postgres() {
  for folder in $(printf %s "$PATH" | tr ':' ' ') /usr/lib/postgresql/*/bin; do
    [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] && return 0
  done
  return 1
}

install_postgres() {
  # The package would make and start a server of its own: the tests make theirs.
  mkdir -p /etc/postgresql-common/createcluster.d &&
    printf 'create_main_cluster = false\n' > /etc/postgresql-common/createcluster.d/no-main-cluster.conf &&
    export DEBIAN_FRONTEND=noninteractive &&
    { apt-get -qq -o Acquire::Retries=2 install -y --no-install-recommends postgresql ||
      { apt-get -qq -o Acquire::Retries=2 update &&
        apt-get -qq -o Acquire::Retries=2 install -y --no-install-recommends postgresql; }; }
}

if has_postgres; then
  exit 0
fi

if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null 2>&1; then
  echo 'test servers: no PostgreSQL here, and no way to install it (needs root and apt-get): its tests will be skipped'
  exit 0
fi

echo 'test servers: installing PostgreSQL'
if ! log=$(install_postgres 2>&1) || ! has_postgres; then
  echo "test servers: PostgreSQL could not be installed: its tests will be skipped ($(printf %s "$log" | tail -n 1))"
fi
exit 0
