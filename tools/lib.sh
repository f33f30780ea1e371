# shellcheck shell=bash
# Functions and variables that the project's scripts share: directories, messages, errors.
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

# Exits with a hint if not root; the hint keeps the caller's Rust in PATH.
need_root() {
  [ "$(id -u)" = 0 ] && return
  # shellcheck disable=SC2016
  die "this needs root ($1). Try: sudo env \"PATH=\$PATH\" ${2:-$0}"
}

# The value of one key of Cargo.toml's [package] section.
package() { sed -nE "/^\[package\]/,/^\[[^p]/ s/^$1 *= *\"([^\"]*)\".*/\1/p" "$here/Cargo.toml" | head -n 1; }

# Installs the library that make (or, with BERTH_BUILD=debug, cargo build) has built into target/installed,
# and exports the variables with which later commands find it. Creates a root filesystem in FOLDER unless
# BERTH_TEST_ROOTFS is set.
use_installed() { # FOLDER
  local built=$target/${BERTH_BUILD:-release} prefix=$target/installed
  [ -e "$built/libberth.so" ] || die "$built/libberth.so is missing: run make first (or cargo build, with BERTH_BUILD=debug)"
  [ -e "$built/native-static-libs" ] || "$here/tools/native-libs" "$built" >"$built/native-static-libs"
  # The last folder that is made.
  [ -e "$built/generated-docs/man3" ] || make --silent -C "$here" generated-docs RELEASE="$built"
  make --silent -C "$here" install RELEASE="$built" PREFIX="$prefix" LIBDIR="$prefix/lib" LDCONFIG=: DESTDIR=
  if [ -z "${BERTH_TEST_ROOTFS:-}" ]; then
    BERTH_TEST_ROOTFS=$1/rootfs
    "$here/tools/rootfs" "$BERTH_TEST_ROOTFS"
  fi
  export BERTH_TEST_ROOTFS
  export BERTH_LIBRARY=$prefix/lib/libberth.so
  export LD_LIBRARY_PATH=$prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
  # Go's build cache does not notice changes of headers outside its module or of pkg-config's output, but it notices a
  # change of this variable.
  CGO_CFLAGS="-O2 -g -DBERTH_BUILD_OF=$(cat "$prefix/include/berth.h" "$prefix/lib/pkgconfig/berth.pc" | sha256sum | cut -c 1-16)"
  CGO_LDFLAGS="-O2 -g -Wl,-rpath,$prefix/lib"
  export CGO_CFLAGS CGO_LDFLAGS
}
