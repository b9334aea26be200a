#!/usr/bin/env bash
# Installs what is missing, and says what. Nothing is missing: prints nothing, asks nobody.
#
#   scripts/install.sh build        a C compiler, the libpq headers, the Postgres server binaries
#   scripts/install.sh build lint   also rustfmt and clippy
#   scripts/install.sh build demo   also curl, python3 and the iso-codes data
#   scripts/install.sh shell        curl and jq
#   scripts/install.sh python       python3 with venv          scripts/install.sh node      node and npm
#   scripts/install.sh java         a JDK                      scripts/install.sh browser   chromium
#   scripts/install.sh bench        pgbench, psql and etcd
#
# No Postgres is started: the server runs one of its own, in its data directory.
set -euo pipefail

say() { printf 'install: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

has_postgres() {
  local found
  for found in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
    /opt/homebrew/opt/postgresql*/bin/initdb /usr/local/opt/postgresql*/bin/initdb \
    "$(pg_config --bindir 2>/dev/null || true)/initdb"; do
    [ -x "$found" ] && return 0
  done
  command -v initdb >/dev/null
}

has_libpq() {
  local found
  for found in /opt/homebrew/opt/libpq/include/libpq-fe.h /usr/local/opt/libpq/include/libpq-fe.h \
    /usr/include/postgresql/libpq-fe.h "$(pg_config --includedir 2>/dev/null || true)/libpq-fe.h"; do
    [ -e "$found" ] && return 0
  done
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root, and there is no sudo. Run as root: $0 $purposes"
  fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# Debian's package starts a cluster on port 5432 unless told not to. Nobody asked for one, so it is told,
# for the time of this installation only.
apt_install_postgres() {
  local conf=/etc/postgresql-common/createcluster.conf status=0
  apt_install postgresql-common
  as_root cp -p "$conf" "$conf.before-ifmatch"
  echo 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
  apt_install postgresql || status=$?
  as_root mv "$conf.before-ifmatch" "$conf"
  return "$status"
}

# Debian's etcd-server starts etcd when it is installed and when the machine starts. Only its program is wanted.
apt_install_etcd() {
  local policy=/usr/sbin/policy-rc.d status=0 placed=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    placed=yes
  fi
  apt_install etcd-server || status=$?
  [ -z "$placed" ] || as_root rm "$policy"
  [ "$status" != 0 ] || as_root update-rc.d etcd disable >&2
  return "$status"
}

purposes="$*"
packages=()   # by their Debian names
postgres=
etcd=
for purpose in "$@"; do
  case "$purpose" in
    build)
      command -v cargo >/dev/null || die "Rust is missing. Install it from https://rustup.rs and try again."
      command -v cc >/dev/null || packages+=(gcc libc6-dev)
      has_libpq || packages+=(libpq-dev)
      has_postgres || postgres=postgresql
      ;;
    lint)
      cargo fmt --version >/dev/null 2>&1 || { say "rustfmt"; rustup component add rustfmt; }
      cargo clippy --version >/dev/null 2>&1 || { say "clippy"; rustup component add clippy; }
      ;;
    demo)
      command -v curl >/dev/null || packages+=(curl)
      command -v python3 >/dev/null || packages+=(python3)
      [ -e "${ISO_CODES_DIR:-/usr/share/iso-codes/json}/iso_639-3.json" ] || packages+=(iso-codes)
      ;;
    shell)
      command -v curl >/dev/null || packages+=(curl)
      command -v jq >/dev/null || packages+=(jq)
      ;;
    python)
      python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
      ;;
    node)
      command -v npm >/dev/null || packages+=(nodejs npm)
      ;;
    java)
      javac -version >/dev/null 2>&1 || packages+=(default-jdk-headless)
      ;;
    browser)
      command -v chromium >/dev/null || packages+=(chromium)
      ;;
    bench)
      # psql is in the client's package, which Debian's Postgres brings along; pgbench in the server's or contrib's.
      command -v pgbench >/dev/null && command -v psql >/dev/null || postgres=postgresql
      command -v etcd >/dev/null || etcd=etcd-server
      ;;
    *) die "unknown purpose '$purpose': build, lint, demo, shell, python, node, java, browser or bench" ;;
  esac
done

missing="${packages[*]-}${postgres:+ $postgres}${etcd:+ $etcd}"
missing="${missing# }"
[ -n "$missing" ] || exit 0

if [ "$(uname -s)" = Darwin ]; then
  say "missing: $missing"
  say "run: brew install postgresql libpq    (a compiler: xcode-select --install; python3: brew install python)"
  say "etcd: brew install etcd"
  say "node: brew install node    java: brew install openjdk    browser: brew install --cask chromium"
  say "iso-codes: brew install iso-codes, and export ISO_CODES_DIR=\"\$(brew --prefix iso-codes)/share/iso-codes/json\""
  exit 1
fi
command -v apt-get >/dev/null ||
  die "missing: $missing (Debian's names). There is no apt-get here: install your system's equivalents and try again."

say "missing, installing with apt-get: $missing"
as_root apt-get update -qq >&2
[ "${#packages[@]}" = 0 ] || apt_install "${packages[@]}"
[ -z "$postgres" ] || apt_install_postgres
[ -z "$etcd" ] || apt_install_etcd
say "done"
