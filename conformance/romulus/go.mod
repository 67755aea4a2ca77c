// A stand-in for github.com/juju/romulus; wireformat/metrics/doc.go says what it is.
module github.com/juju/romulus

go 1.26
