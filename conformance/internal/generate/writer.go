package generate

import (
	"math/rand/v2"
	"strings"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// writer writes one document as JSON text.
type writer struct {
	random *rand.Rand
	out    []byte
	points Points
	// oddity is the chance of an unusual but legal spelling, wherever there is one.
	oddity float64
	// badness is the chance of a value that must be refused, for each value.
	badness float64
}

// member is a key of an object and how to write its value.
type member struct {
	key   string
	value func()
}

func (w *writer) text(text string) { w.out = append(w.out, text...) }

func (w *writer) isOdd() bool { return w.oddity > 0 && w.random.Float64() < w.oddity }

func (w *writer) isBad() bool { return w.badness > 0 && w.random.Float64() < w.badness }

func (w *writer) pick(choices ...string) string { return choices[w.random.IntN(len(choices))] }

func (w *writer) document(t reference.Type) {
	w.blank()
	switch {
	case w.random.IntN(200) == 0:
		w.points.Add(NullDocument)
		w.text("null")
	case t == reference.MetricBatches:
		w.list(w.count(), w.batch)
	case t == reference.Response:
		w.response()
	case t == reference.UserStatusResponse:
		w.userStatusResponse()
	}
	w.blank()
}

func (w *writer) batch() {
	w.object([]member{
		{"uuid", w.name}, {"env-uuid", w.name}, {"model-name", w.name}, {"unit-name", w.name}, {"charm-url", w.name}, {"created", w.time},
		{"metrics", func() { w.list(w.count(), w.metric) }},
		{"credentials", w.bytes}, {"reseller-credentials", w.bytes}, {"sla-credentials", w.bytes},
	})
}

func (w *writer) metric() {
	w.object([]member{
		{"key", w.name}, {"value", w.name}, {"time", w.time}, {"labels", func() { w.mapping(w.name) }},
	})
}

func (w *writer) response() {
	w.object([]member{
		{"uuid", w.name}, {"env-responses", func() { w.mapping(w.environment) }}, {"new-grace-period", w.gracePeriod},
	})
}

func (w *writer) environment() {
	w.object([]member{
		{"acks", w.acks}, {"model-status", w.status}, {"unit-statuses", func() { w.mapping(w.status) }},
	})
}

func (w *writer) userStatusResponse() {
	w.object([]member{
		{"uuid", w.name}, {"user-responses", func() { w.mapping(w.user) }},
	})
}

func (w *writer) user() { w.object([]member{{"status", w.status}, {"acks", w.acks}}) }

func (w *writer) acks() { w.list(w.count(), w.name) }

func (w *writer) status() { w.object([]member{{"status", w.name}, {"info", w.name}}) }

// count is a number of elements: small, and sometimes not.
func (w *writer) count() int {
	switch w.random.IntN(30) {
	case 0:
		return 4 + w.random.IntN(12)
	case 1, 2, 3:
		return 0
	default:
		return 1 + w.random.IntN(3)
	}
}

func (w *writer) list(n int, element func()) {
	if w.replaced(NullField) {
		return
	}
	switch {
	case n == 0:
		w.points.Add(ListEmpty)
	case n > 4:
		w.points.Add(ListLong)
	}
	w.text("[")
	w.blank()
	for i := range n {
		if i > 0 {
			w.comma()
		}
		if w.isOdd() && w.random.IntN(3) == 0 {
			w.points.Add(NullElement)
			w.text("null")
		} else {
			element()
		}
		w.blank()
	}
	w.text("]")
}

// mapping writes a map with keys that repeat now and then.
func (w *writer) mapping(value func()) {
	if w.replaced(NullField) {
		return
	}
	n := w.count()
	switch {
	case n == 0:
		w.points.Add(MapEmpty)
	case n > 4:
		w.points.Add(MapLarge)
	}
	w.text("{")
	w.blank()
	for i := range n {
		if i > 0 {
			w.comma()
		}
		if w.isOdd() {
			w.points.Add(MapKeyOdd)
			w.oddText()
		} else {
			w.text(`"` + w.pick("a", "b", "zone", "app/0", "app/1", "8f2d6a4c", "bob", "Bob", "") + `"`)
		}
		w.colon()
		if w.isOdd() && w.random.IntN(3) == 0 {
			w.points.Add(NullInMap)
			w.text("null")
		} else {
			value()
		}
		w.blank()
	}
	w.text("}")
}

// object writes members in an order and a spelling of its own, and some of them
// not at all or twice.
func (w *writer) object(members []member) {
	if w.replaced(NullField) {
		return
	}
	var chosen []member
	for _, one := range members {
		if w.isOdd() {
			w.points.Add(KeyMissing)
			continue
		}
		chosen = append(chosen, one)
	}
	for w.isOdd() && len(members) > 0 {
		w.points.Add(KeyRepeated)
		again := members[w.random.IntN(len(members))]
		chosen = append(chosen, again)
		if w.random.IntN(2) == 0 {
			chosen = append(chosen, again)
		}
	}
	if w.isOdd() {
		chosen = append(chosen, member{"", w.anything})
	}
	if w.isOdd() {
		w.points.Add(MembersShuffled)
		w.random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	}
	w.text("{")
	w.blank()
	for i, one := range chosen {
		if i > 0 {
			w.comma()
		}
		w.key(one.key)
		w.colon()
		one.value()
		w.blank()
	}
	w.text("}")
}

// key writes the name of a field, or of no field when it is empty.
func (w *writer) key(name string) {
	if name == "" {
		w.points.Add(KeyUnknown)
		if w.random.IntN(4) == 0 {
			w.oddText()
			return
		}
		w.text(`"` + w.pick("x", "tags", "", "uuids", "env_uuid", "envuuid", "uuid ", "ModelUUID", "metric", "kéy", "ſ", "K", "status-code") + `"`)
		return
	}
	spelled := name
	if w.isOdd() {
		if w.points.Has(KeyRepeated) {
			w.points.Add(KeyRepeatedInOtherCase)
		}
		w.points.Add(KeyInOtherCase)
		spelled = w.inOtherCase(name)
	}
	if w.isOdd() {
		if folded := strings.NewReplacer("s", "ſ", "k", "K").Replace(spelled); folded != spelled {
			w.points.Add(KeyFolded)
			spelled = folded
		}
	}
	w.text(`"`)
	for _, letter := range spelled {
		if w.isOdd() && w.random.IntN(4) == 0 {
			w.points.Add(KeyEscaped)
			w.unicodeEscape(letter)
			continue
		}
		w.text(string(letter))
	}
	w.text(`"`)
}

func (w *writer) inOtherCase(name string) string {
	if w.random.IntN(2) == 0 {
		return strings.ToUpper(name)
	}
	letters := []byte(name)
	for i := range letters {
		if w.random.IntN(2) == 0 {
			letters[i] = strings.ToUpper(string(letters[i]))[0]
		}
	}
	return string(letters)
}

func (w *writer) comma() {
	w.text(",")
	w.blank()
}

func (w *writer) colon() {
	w.blank()
	w.text(":")
	w.blank()
}

func (w *writer) blank() {
	if w.isOdd() && w.random.IntN(4) == 0 {
		w.points.Add(Whitespace)
		w.text(w.pick(" ", "\t", "\r", "  ", " \t\r "))
	}
}

// replaced writes something else in place of a value: null, or what does not
// belong there.
func (w *writer) replaced(null Point) bool {
	switch {
	case w.isOdd() && w.random.IntN(3) == 0:
		w.points.Add(null)
		w.text("null")
		return true
	case w.isBad():
		w.wrong()
		return true
	}
	return false
}
