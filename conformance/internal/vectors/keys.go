package vectors

import (
	"fmt"
	"strings"
)

// keyCase: a key matches a field without regard to case, by Unicode's simple
// folding, which takes U+017F for s and U+212A for k.
func keyCase(r *rule) {
	for _, p := range positions {
		if !p.isField {
			continue
		}
		key := p.name[strings.LastIndex(p.name, ".")+1:]
		before, after, _ := strings.Cut(p.before+"\x00"+p.after, "\x00")
		before = strings.TrimSuffix(before, `"`+key+`":`)
		spelled := func(as string) string { return before + `"` + as + `":` + p.sample() + after }
		r.accepts(p.t, p.name+"-upper-case", spelled(strings.ToUpper(key)))
		r.accepts(p.t, p.name+"-alternating", spelled(alternating(key)))
		if folded := strings.NewReplacer("s", "\u017f", "k", "\u212a").Replace(key); folded != key {
			r.accepts(p.t, p.name+"-long-s-and-kelvin", spelled(folded))
		}
	}
	r.accepts(batches, "escaped-long-s", inBatch(`metric\u017f`, `[{}]`))
	r.accepts(batches, "escaped-kelvin", inMetric(`\u212aey`, `"k"`))
	r.accepts(response, "long-s-and-kelvin-and-upper-case", inModel(`"AC`+"\u212a\u017f"+`":["a"]`))
	for _, one := range []struct{ name, key string }{
		{"dotless-i", "un\u0131t-name"}, {"dotted-i", "un\u0130t-name"}, {"sharp-s", "me\u00dfage"}, {"full-width", "\uff55\uff55\uff49\uff44"},
		{"non-breaking-hyphen", "env\u2011uuid"}, {"minus-sign", "env\u2212uuid"}, {"soft-hyphen", "env\u00ad-uuid"}, {"cyrillic-e", "nam\u0435"},
		{"combining-mark", "uuid\u0301"}, {"broken-utf8", "uuid\xff"}, {"replacement-character", "uuid\ufffd"},
	} {
		r.accepts(batches, "unknown-"+one.name, inBatch(one.key, `1`))
	}
	r.accepts(batches, "exact-then-folded", `[{"uuid":"exact","UUID":"folded"}]`)
	r.accepts(batches, "folded-then-exact", `[{"UUID":"folded","uuid":"exact"}]`)
	r.accepts(batches, "two-folded", `[{"Uuid":"first","uUID":"second"}]`)
	r.accepts(response, "map-keys-keep-their-case", `{"env-responses":{"Model":{"acks":["a"]},"model":{"acks":["b"]},"MODEL":{"acks":["c"]}}}`)
	r.accepts(batches, "label-names-keep-their-case", inMetric("labels", `{"Zone":"1","zone":"2"}`))
}

func alternating(key string) string {
	var spelled strings.Builder
	for i, letter := range key {
		if i%2 == 1 {
			letter = []rune(strings.ToUpper(string(letter)))[0]
		}
		spelled.WriteRune(letter)
	}
	return spelled.String()
}

// keyEscapes: a key is compared after its escapes are undone.
func keyEscapes(r *rule) {
	r.accepts(batches, "one-letter", inBatch(`u\u0075id`, `"u"`))
	r.accepts(batches, "whole-key", inBatch(`\u0075\u0075\u0069\u0064`, `"u"`))
	r.accepts(batches, "upper-case-letter", inBatch(`\u0055uid`, `"u"`))
	r.accepts(batches, "hyphen", inBatch(`env\u002duuid`, `"e"`))
	r.accepts(batches, "upper-case-hex", inBatch(`env\u002Duuid`, `"e"`))
	r.accepts(batches, "nul-at-end", inBatch(`uuid\u0000`, `1`))
	r.accepts(batches, "slash", inBatch(`uuid\/`, `1`))
	r.accepts(batches, "quote-inside", inBatch(`uu\"id`, `1`))
	r.accepts(batches, "lone-surrogate-at-end", inBatch(`uuid\ud800`, `1`))
	r.accepts(batches, "metric-key", inMetric(`\u006bey`, `"k"`))
	r.accepts(batches, "escaped-and-plain-are-duplicates", `[{"uuid":"plain","\u0075uid":"escaped"}]`)
	r.accepts(batches, "label-names", inMetric("labels", `{"\u0061":"escaped","a":"plain","\u0062":"escaped"}`))
	r.accepts(response, "model-names", `{"env-responses":{"\u006d":{"acks":["a"]},"m":{"acks":["b"]}}}`)
	r.refuses(batches, "short-unicode-escape", inBatch(`uui\u64`, `"u"`))
	r.refuses(batches, "hex-escape", inBatch(`uui\x64`, `"u"`))
}

// mapKeys: the keys of maps are data: repaired, escaped and sorted by their bytes.
func mapKeys(r *rule) {
	inAllMaps := func(name string, keys ...string) {
		var labels, models, units, answers []string
		for i, key := range keys {
			labels = append(labels, fmt.Sprintf(`"%s":"%d"`, key, i))
			models = append(models, fmt.Sprintf(`"%s":{"acks":["%d"]}`, key, i))
			units = append(units, fmt.Sprintf(`"%s":{"status":"%d"}`, key, i))
			answers = append(answers, fmt.Sprintf(`"%s":{"acks":["%d"]}`, key, i))
		}
		r.accepts(batches, name+"-labels", inMetric("labels", `{`+strings.Join(labels, ",")+`}`))
		r.accepts(response, name+"-models", `{"env-responses":{`+strings.Join(models, ",")+`}}`)
		r.accepts(response, name+"-units", inModel(`"unit-statuses":{`+strings.Join(units, ",")+`}`))
		r.accepts(users, name+"-users", `{"user-responses":{`+strings.Join(answers, ",")+`}}`)
	}
	inAllMaps("order-ascii", "b", "a", "B", "A", "10", "9", "", "a/1", "a-1", "a 1", "aa", "~", "!", "_")
	inAllMaps("order-prefixes", "abc", "ab", "abcd", "a", "", "abd")
	inAllMaps("order-non-ascii", "é", "z", "ê", "e\u0301", "日本", "ß", "ÿ", "Ā")
	// In UTF-16 order U+1F600 sorts before U+FFFD; by bytes it sorts after.
	inAllMaps("order-beyond-the-basic-plane", "\U0001f600", "\ufffd", "\uffff", "\ue000", "\U0010ffff", "\U00010000", "\ud7ff")
	inAllMaps("order-of-escaped-keys", `\u0062`, `a`, `\u0000`, `\"`, `\\`, `\n`, ` `, `\u007f`)
	inAllMaps("html", "<b>", "a&b", ">", "<", "&", "a", "\u2028", "\u2029")
	inAllMaps("lone-surrogates-become-one-key", `a\ud800`, `a\udc00`, `a`+"\ufffd", `b`)
	inAllMaps("broken-utf8-becomes-one-key", "a\xff", "a\xfe", "a\xc0", "b")
	inAllMaps("repeated", "a", "b", "a", "b", "a")
	inAllMaps("control-characters", `\u0001`, `\b`, `\f`, `\t`, `\r`, `\u001f`, "\u007f", "\u0080")
	r.accepts(batches, "order-of-100-labels", inMetric("labels", `{`+hundredLabels()+`}`))
	r.refuses(batches, "number-as-label-name", inMetric("labels", `{1:"a"}`))
}

// hundredLabels are in neither numeric nor byte order.
func hundredLabels() string {
	var labels []string
	for i := range 100 {
		labels = append(labels, fmt.Sprintf(`"n%d":"%d"`, i*37%100, i))
	}
	return strings.Join(labels, ",")
}
