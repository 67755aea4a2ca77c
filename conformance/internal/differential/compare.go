package differential

import (
	"bytes"
	"fmt"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// refused starts the answer to a document that has no canonical form; a reason follows.
const refused = "! "

// Difference is a document that the checker and the reference see differently.
type Difference struct {
	Type reference.Type
	// Index is the document's place among those of its type, from 0.
	Index    int
	Document []byte
	// Want is the canonical form, or the error of the reference after "! ".
	Want []byte
	Got  []byte
	// Shorter is a smaller document with a difference of its own, when one was found.
	Shorter *Difference
}

func (d *Difference) String() string {
	text := fmt.Sprintf("%s document %d (%d bytes)\n  input %q\n  want  %q\n  got   %q", d.Type, d.Index, len(d.Document), d.Document, d.Want, d.Got)
	if d.Shorter != nil {
		text += fmt.Sprintf("\n  shorter input %q\n          want  %q\n          got   %q", d.Shorter.Document, d.Shorter.Want, d.Shorter.Got)
	}
	return text
}

// expected is the reference's answer to a document.
func expected(t reference.Type, document []byte) []byte {
	canonical, err := reference.Canonical(t, document)
	if err != nil {
		return []byte(refused + err.Error())
	}
	return canonical
}

func isRefusal(answer []byte) bool { return bytes.HasPrefix(answer, []byte(refused)) }

// agree tells whether got answers as want does. The reasons of refusals may
// differ, but there must be one. No canonical form starts with an exclamation mark.
func agree(want, got []byte) bool {
	if isRefusal(want) {
		return isRefusal(got) && len(bytes.TrimSpace(got)) > len(refused)
	}
	return bytes.Equal(want, got)
}
