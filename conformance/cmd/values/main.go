// Command values prints how Go reads spellings of metric values: the golden table for tollgate-rules.
//
//	go run ./cmd/values > ../crates/tollgate-rules/golden/values.jsonl
//
// Each line is an object. "go" says what strconv.ParseFloat(text, 64) answers: "ok", "syntax" or "range".
// Where that is "ok" and the value is finite, "exact" is the value that the text spells, computed with math/big,
// as a plain decimal; absent when it is negative, above 10^38, or has more than 38 decimal places.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand"
	"os"
	"strconv"
	"strings"
)

type line struct {
	Text  string `json:"text"`
	Go    string `json:"go"`
	Exact string `json:"exact,omitempty"`
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	if err := errors.Join(write(out), out.Flush()); err != nil {
		fmt.Fprintln(os.Stderr, "write the table:", err)
		os.Exit(1)
	}
}

func write(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	seen := map[string]bool{}
	for _, text := range spellings() {
		if seen[text] {
			continue
		}
		seen[text] = true
		if err := encoder.Encode(read(text)); err != nil {
			return err
		}
	}
	return nil
}

func read(text string) line {
	value, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return line{Text: text, Go: "range"}
	case err != nil:
		return line{Text: text, Go: "syntax"}
	case math.IsNaN(value) || math.IsInf(value, 0):
		return line{Text: text, Go: "ok"}
	default:
		return line{Text: text, Go: "ok", Exact: exact(text, value)}
	}
}

// exact gives the plain decimal, or "" when it is out of Tollgate's range.
func exact(text string, value float64) string {
	if value == 0 {
		// Zero itself, or so small that math/big would work on its exponent for minutes.
		mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
		if strings.HasPrefix(strings.TrimLeft(mantissa, "+-"), "0x") {
			mantissa, _, _ = strings.Cut(strings.ToLower(text), "p")
		}
		if strings.Trim(mantissa, "+-0x._") == "" {
			return "0"
		}
		return ""
	}
	rat, ok := new(big.Rat).SetString(strings.ReplaceAll(text, "_", ""))
	if !ok {
		panic("math/big does not read " + text)
	}
	largest := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil))
	if rat.Sign() < 0 || rat.Cmp(largest) > 0 {
		return ""
	}
	decimal := rat.FloatString(38)
	if back, _ := new(big.Rat).SetString(decimal); back.Cmp(rat) != 0 {
		return ""
	}
	return strings.TrimSuffix(strings.TrimRight(decimal, "0"), ".")
}

func spellings() []string {
	texts := []string{
		"", " ", "\n", "\t1", "1 ", " 1", "+", "-", ".", "_", "e", "e5", ".e5", "+.", "x", "0x", "0X", "0xp1", "0x.p1", "1,5", "1.5f",
		"1e", "1e+", "1e-", "1e_5", "1e5_0", "1e5_", "1_e5", "1__0", "_1", "1_", "1_000", "1_0.5_0e1_0", "1_.5", "1._5", "0_1", "+_1", "1_000_000.000_1",
		"0", "-0", "+0", "-0.0", "0.0", "00", "000.000", "0e-400", "0e400", "0e99999999999", "-0e5", "0x0p0", "-0x0p5", "0x0p99999", "0x.0p-9",
		"1", "+1", "-1", "++1", "+-1", "--1", "1-", "1+1", "010", "0000000000000000000000000000001", "000000000000000000000000000001",
		".5", "5.", "+.5", "+5.", "-.5", "1.2.3", "..5", "5..", "1e5", "1E5", "1E+5", "1e-5", "1e05", "1e00000000000000000005", "1e5.0", "1e5e5",
		"1e308", "1e309", "-1e309", "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308",
		"1.797693134862315807e308", "1.797693134862315808e308", "17976931348623158079e289", "1.79769313486231580793e308", "1.79769313486231580794e308",
		"0.000001e314", "0.000001e315", "1e99999", "1e99999999999999999999", "1e-99999999999999999999", "0.1e309", "10e307", "10e308",
		"1e-400", "-1e-400", "1e-323", "1e-324", "1e-38", "1e-39", "10e-39", "100e-40", "1.0e-38", "1.1e-38", "1.10e-37", "12345678901234567890e-38",
		"1e37", "1e38", "1e39", "10e37", "100e36", "1000e35", "99999999999999999999999999e12", "99999999999999999999999999e13", "1.0000000000000000000000001e38",
		"100000000000000000000000000000", "999999999999999999999999999999", "99999999999999999999.12345678", "0.1234567890123456789012345678",
		"1.0000000000000000000000e-38", "1.000000000000000000000e-39", "10.000000000000000000000e-39", "1000000000000000000000e-59", "1000000000000000000000e-60",
		"18446744073709551615", "18446744073709551616", "9999999999999999999", "10000000000000000000", "123456789012345678.9", "1234567890123456789", "0.1", "0.2", "0.3",
		"NaN", "nan", "NAN", "nAn", "+nan", "-nan", "nan0", "na", "Inf", "inf", "INF", "+Inf", "-Inf", "+inf", "-inf", "infinity", "Infinity", "INFINITY", "+Infinity", "-infinity",
		"infinit", "infinityx", "in", "i", "infi", "1inf", "inf1", "nan(1)",
		"0x1p4", "0X1P-2", "0x.8p1", "0x_1p4", "0x1_p4", "0x1p_4", "0x1p4_0", "0x1p4_", "0x__1p4", "_0x1p4", "0_x1p4", "0x1_2p4", "0x1._8p4", "0x1_.8p4", "0x_.8p1",
		"0x10", "0x1.8", "0x1e4", "0xep4", "0xEp4", "0xfp", "0xfp+", "0x1p+4", "+0x1p4", "-0x1p4", "0xgp1", "0b1", "0b1p4", "0o7", "0o7p1", "1p4", "0x1.8p0.5", "0x1.8.8p0",
		"0x1p-37", "0x1p-38", "0x1p-39", "0x2p-39", "0x8p-41", "0x8p-42", "0x1.8p-37", "0x1.8p-38", "0x0.00000001p-6", "0x0.00000001p-7",
		"0x1p126", "0x1p127", "0x1p128", "0x1p1023", "0x1p1024", "0x1.fffffffffffffp1023", "0x1.fffffffffffff7p1023", "0x1.fffffffffffff8p1023", "0x1.fffffffffffff7fffp1023", "0x.fffffffffffffcp1024",
		"0x.fffffffffffffbp1024", "0x1.fffffffffffff7ffffffp1023", "0x1.fffffffffffff8000001p1023",
		"0xfffffffffffffffffffffffffp0", "0xffffffffffffffffffffffffp-38", "0xfffffffffffffffffffffffp38", "0x1p-99999999", "0x1p99999999", "0x1p-1074", "0x1p-1080",
		"0x4b3b4ca85a86c47ap0", "0x4b3b4ca85a86c47a098a224p32", "0x4b3b4ca85a86c47a098a2240p32", "0x4b3b4ca85a86c47a098a2241p31", "0x4b3b4ca85a86c47a098a224p33",
		"1'000", "½", "１", "٣", "1\u00a0", "1\x00", "0x1p4\n", "∞", "−1", "1e５", "true", "null", "1/2", "1%", "$1", "0d1", "1L", "1n", "1d", "1m",
	}
	for _, sign := range []string{"", "+", "-"} {
		for _, digits := range []string{"7", "07", "7.", ".7", "7.70", "1_2", "12_3.4_5"} {
			for _, exponent := range []string{"", "e0", "E2", "e+30", "e-7", "e38", "e-38", "e1_0"} {
				texts = append(texts, sign+digits+exponent)
			}
		}
	}
	return append(texts, disturbed()...)
}

// disturbed gives spellings with a byte put in, taken out or changed, the same ones each time.
func disturbed() []string {
	const nSpellings = 400
	alphabet := "00112345678999..eExXpP__+-aAfFiInN"
	bases := []string{"1_000.25e3", "0x1_f.8p-3", "12345.678", "0X.aP+12", "+1e-12", "infinity", "9.99e37", "0x7fp-30"}
	random := rand.New(rand.NewSource(20260921))
	texts := make([]string, 0, nSpellings)
	for len(texts) < nSpellings {
		text := []byte(bases[random.Intn(len(bases))])
		for n := 1 + random.Intn(3); n > 0 && len(text) > 0; n-- {
			at, with := random.Intn(len(text)), alphabet[random.Intn(len(alphabet))]
			switch random.Intn(3) {
			case 0:
				text[at] = with
			case 1:
				text = append(text[:at], text[at+1:]...)
			default:
				text = append(text[:at], append([]byte{with}, text[at:]...)...)
			}
		}
		texts = append(texts, string(text))
	}
	return texts
}
