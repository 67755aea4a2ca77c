package differential

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tollgate-metering/tollgate/conformance/internal/generate"
)

// Report is what a run saw.
type Report struct {
	NDocuments     int
	NAccepted      int
	NRefusedDecode int
	NRefusedEncode int
	NDifferences   int
	// Differences are the first of each type.
	Differences []*Difference
	points      map[generate.Point]*pointCount
}

// pointCount tells in how many documents a point was seen, and in how many of
// those with the verdict that it asks for.
type pointCount struct{ nSeen, nReached int }

func newReport() *Report {
	report := &Report{points: map[generate.Point]*pointCount{}}
	for _, point := range generate.AllPoints() {
		report.points[point] = &pointCount{}
	}
	return report
}

func (r *Report) nRefused() int { return r.NRefusedDecode + r.NRefusedEncode }

func (r *Report) count(points generate.Points, want []byte) {
	r.NDocuments++
	isAccepted := !isRefusal(want)
	switch {
	case isAccepted:
		r.NAccepted++
	case strings.HasPrefix(string(want), refused+"encode"):
		r.NRefusedEncode++
	default:
		r.NRefusedDecode++
	}
	if points == 0 {
		return
	}
	for point, count := range r.points {
		if points.Has(point) {
			count.nSeen++
			if point.IsLegal() == isAccepted {
				count.nReached++
			}
		}
	}
}

func (r *Report) differ(difference *Difference, nKept int) {
	r.NDifferences++
	if len(r.Differences) < nKept {
		r.Differences = append(r.Differences, difference)
	}
}

func (r *Report) add(other *Report) {
	r.NDocuments += other.NDocuments
	r.NAccepted += other.NAccepted
	r.NRefusedDecode += other.NRefusedDecode
	r.NRefusedEncode += other.NRefusedEncode
	r.NDifferences += other.NDifferences
	r.Differences = append(r.Differences, other.Differences...)
	slices.SortFunc(r.Differences, func(a, b *Difference) int {
		if a.Type != b.Type {
			return strings.Compare(string(a.Type), string(b.Type))
		}
		return a.Index - b.Index
	})
	for point, count := range other.points {
		r.points[point].nSeen += count.nSeen
		r.points[point].nReached += count.nReached
	}
}

// Unreached lists the points that no document reached with the right verdict.
func (r *Report) Unreached() []generate.Point {
	var unreached []generate.Point
	for _, point := range generate.AllPoints() {
		if r.points[point].nReached == 0 {
			unreached = append(unreached, point)
		}
	}
	return unreached
}

// WriteTo prints the figures: first the points, last the sum.
func (r *Report) WriteTo(out io.Writer) (int64, error) {
	var text strings.Builder
	for _, difference := range r.Differences {
		fmt.Fprintf(&text, "difference: %s\n", difference)
	}
	text.WriteString("sometimes (documents that reached a rule, with the verdict it asks for):\n")
	for _, point := range generate.AllPoints() {
		verdict := "accepted"
		if !point.IsLegal() {
			verdict = "refused"
		}
		fmt.Fprintf(&text, "  %-30s %8d seen %8d %s\n", point, r.points[point].nSeen, r.points[point].nReached, verdict)
	}
	fmt.Fprintf(&text, "documents %d, accepted %d (%d %%), refused %d (of them %d could be read but not written), differences %d\n",
		r.NDocuments, r.NAccepted, 100*r.NAccepted/max(1, r.NDocuments), r.nRefused(), r.NRefusedEncode, r.NDifferences)
	n, err := io.WriteString(out, text.String())
	return int64(n), err
}
