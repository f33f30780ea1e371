module agent

go 1.19

require berth v0.0.0

replace berth => ../../bindings/go
