#!/bin/sh
# Installs the servers that some tests run for themselves (PostgreSQL, NATS), Prometheus, whose tool checks the alert rules, and
# bubblewrap, which isolates scripts, where that can be done without asking: as root, with apt-get. Does nothing where they are there. Always succeeds; tests without their
# server or tool are skipped by name.
set -u

has_postgres() {
  for folder in $(printf %s "$PATH" | tr ':' ' ') /usr/lib/postgresql/*/bin; do
    [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] && return 0
  done
  return 1
}

has_nats() {
  for folder in $(printf %s "$PATH" | tr ':' ' ') /usr/sbin; do
    [ -x "$folder/nats-server" ] && return 0
  done
  return 1
}

has_promtool() {
  command -v promtool > /dev/null 2>&1
}

# Installs a Debian package; the lists of packages are fetched where they are too old.
install_package() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o Acquire::Retries=2 install -y --no-install-recommends "$1" ||
    { apt-get -qq -o Acquire::Retries=2 update &&
      apt-get -qq -o Acquire::Retries=2 install -y --no-install-recommends "$1"; }
}

install_postgres() {
  # The package would make and start a server of its own: the tests make theirs.
  mkdir -p /etc/postgresql-common/createcluster.d &&
    printf 'create_main_cluster = false\n' > /etc/postgresql-common/createcluster.d/no-main-cluster.conf &&
    install_package postgresql
}

# install_without_service PACKAGE SERVICE: the package would start a service, now and at each boot; the tests start their own servers.
install_without_service() {
  if [ -e /usr/sbin/policy-rc.d ]; then
    install_package "$1"
    installed=$?
  else
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
    install_package "$1"
    installed=$?
    rm -f /usr/sbin/policy-rc.d
  fi
  if [ "$installed" = 0 ] && [ -d /run/systemd/system ]; then
    systemctl disable --now "$2"
  fi
  return "$installed"
}

install_nats() {
  install_without_service nats-server nats-server
}

# Its service would listen on all addresses.
install_promtool() {
  install_without_service prometheus prometheus
}

has_bubblewrap() {
  command -v bwrap > /dev/null 2>&1
}

install_bubblewrap() {
  install_package bubblewrap
}

# install NAME TEST INSTALLER
install() {
  if "$2"; then
    return 0
  fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null 2>&1; then
    echo "test servers: no $1 here, and no way to install it (needs root and apt-get): its tests will be skipped"
    return 0
  fi
  echo "test servers: installing $1"
  if ! log=$("$3" 2>&1) || ! "$2"; then
    echo "test servers: $1 could not be installed: its tests will be skipped ($(printf %s "$log" | tail -n 1))"
  fi
}

install PostgreSQL has_postgres install_postgres
install NATS has_nats install_nats
install promtool has_promtool install_promtool
install bubblewrap has_bubblewrap install_bubblewrap
exit 0
