# shellcheck shell=bash
# What the scripts under tests/ share: where the project is, and how to speak and to stop.
# Sourced, never run.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Where cargo puts what it builds.
# shellcheck disable=SC2034
target=${CARGO_TARGET_DIR:-$here/target}

say() { printf '%s: %s\n' "${0##*/}" "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Stops politely without root; says how to get there with the caller's own Rust still found.
need_root() {
  [ "$(id -u)" = 0 ] && return
  # shellcheck disable=SC2016
  die "this needs root ($1). Try: sudo env \"PATH=\$PATH\" ${2:-$0}"
}

# The value of one key of Cargo.toml's [package] section.
package() { sed -nE "/^\[package\]/,/^\[[^p]/ s/^$1 *= *\"([^\"]*)\".*/\1/p" "$here/Cargo.toml" | head -n 1; }
