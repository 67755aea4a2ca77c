module github.com/tollgate-metering/tollgate/conformance

go 1.26

require github.com/juju/romulus v0.0.0

// Our own declarations of the wire types; README.md says why they are there and
// how to run everything against the real module instead.
replace github.com/juju/romulus => ./romulus
