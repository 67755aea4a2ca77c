// Package metrics stands in for the package of the same path in
// github.com/juju/romulus, which is AGPL-licensed and not always to be had from
// a module proxy.
//
// It declares what the wire format is made of and nothing more: the names of the
// types and fields, their Go types and JSON tags, and the three methods that
// fill a response. These are facts that both ends of the wire must share; the
// code and the words are our own. The file types.txt, beside the conformance
// go.mod, was generated from the real module, and a test holds this package to
// it. The README there says how to run everything against the real module.
package metrics
