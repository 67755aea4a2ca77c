// Command golden prints macaroons as gopkg.in/macaroon.v2 makes and writes them,
// one JSON object a line: the golden table of tollgate-rules.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"gopkg.in/macaroon.v2"
)

// line is one macaroon, and every form that it has.
type line struct {
	Name       string   `json:"name"`
	RootKey    string   `json:"root_key_hex"`
	Location   string   `json:"location"`
	Identifier string   `json:"identifier"`
	Caveats    []string `json:"caveats"`
	JSONV1     string   `json:"json_v1"`
	JSONV2     string   `json:"json_v2"`
	BinaryV1   string   `json:"binary_v1_base64"`
	BinaryV2   string   `json:"binary_v2_base64"`
}

var macaroons = []line{
	{Name: "no caveats", RootKey: "00", Location: "tollgate", Identifier: "id"},
	{Name: "empty root key", RootKey: "", Location: "tollgate", Identifier: "id", Caveats: []string{"one"}},
	{
		Name: "a plan's credential", RootKey: "6b6579", Location: "omnibus",
		Identifier: "tollgate 1 k 000102030405060708090a0b0c0d0e0f 4",
		Caveats: []string{
			"declared environment deadbeef-0bad-400d-8000-4b1d0d06f00d",
			"declared charm ch:amd64/quantal/metered-1",
			"declared service metered",
			"time-before 2030-01-02T03:04:05.678Z",
		},
	},
	{Name: "no location", RootKey: "00", Identifier: "id", Caveats: []string{"a"}},
	{Name: "empty identifier", RootKey: "00", Location: "tollgate", Caveats: []string{""}},
	{
		Name: "escapes", RootKey: "00", Location: "\"\\/é",
		Identifier: "line\nfeed\tand quote\"", Caveats: []string{"é😀", "two  spaces "},
	},
	{
		Name: "a root key longer than a block", Location: "l", Identifier: "i", Caveats: []string{"a", "b", "c"},
		RootKey: hex.EncodeToString(make([]byte, 100)),
	},
	{Name: "a long caveat", RootKey: "00", Location: "l", Identifier: "i", Caveats: []string{fmt.Sprintf("%0300d", 7)}},
}

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "golden: failed to", err)
		os.Exit(1)
	}
}

func write(to io.Writer) error {
	out := json.NewEncoder(to)
	out.SetEscapeHTML(false)
	for _, each := range macaroons {
		if err := fill(&each); err != nil {
			return fmt.Errorf("make %q: %w", each.Name, err)
		}
		if err := out.Encode(each); err != nil {
			return fmt.Errorf("write %q: %w", each.Name, err)
		}
	}
	return nil
}

// fill makes the macaroon in both versions and writes all of its forms.
func fill(each *line) error {
	rootKey, err := hex.DecodeString(each.RootKey)
	if err != nil {
		return err
	}
	if each.Caveats == nil {
		each.Caveats = []string{}
	}
	for _, version := range []macaroon.Version{macaroon.V1, macaroon.V2} {
		made, err := macaroon.New(rootKey, []byte(each.Identifier), each.Location, version)
		if err != nil {
			return err
		}
		for _, caveat := range each.Caveats {
			if err := made.AddFirstPartyCaveat([]byte(caveat)); err != nil {
				return err
			}
		}
		text, err := json.Marshal(made)
		if err != nil {
			return err
		}
		binary, err := made.MarshalBinary()
		if err != nil {
			return err
		}
		encoded := base64.RawURLEncoding.EncodeToString(binary)
		if version == macaroon.V1 {
			each.JSONV1, each.BinaryV1 = string(text), encoded
		} else {
			each.JSONV2, each.BinaryV2 = string(text), encoded
		}
	}
	return nil
}
