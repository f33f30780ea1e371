module agent

go 1.19

require berth v0.0.0

// In the source tree. For a copy of an installed example: go mod edit -replace berth=/usr/local/share/gocode/src/berth
// (Debian's package: berth=/usr/share/gocode/src/berth)
replace berth => ../../bindings/go
