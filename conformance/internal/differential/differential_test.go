package differential

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tollgate-metering/tollgate/conformance/internal/generate"
	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// actAsCheck makes this test binary act as the program under test; its value
// names the fault to plant.
const actAsCheck = "TOLLGATE_TEST_ACT_AS_CHECK"

func TestMain(m *testing.M) {
	if fault, ok := os.LookupEnv(actAsCheck); ok {
		os.Exit(check(os.Args[1:], os.Stdin, os.Stdout, Fault(fault)))
	}
	os.Exit(m.Run())
}

const (
	faultCrash Fault = "crashes"
	faultUsage Fault = "does not know its arguments"
)

// check is `tollgate check`, as far as a run uses it.
func check(arguments []string, in io.Reader, out io.Writer, fault Fault) int {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	lines := flags.Bool("lines", false, "")
	canonical := flags.Bool("canonical", false, "")
	documentType := flags.String("type", "", "")
	if len(arguments) == 0 || arguments[0] != "check" || flags.Parse(arguments[1:]) != nil || !*lines || !*canonical || fault == faultUsage {
		return 2
	}
	if fault == faultCrash {
		in = io.LimitReader(in, 100_000)
	}
	sawRefused, err := Serve(context.Background(), reference.Type(*documentType), in, out, fault)
	switch {
	case err != nil || fault == faultCrash:
		fmt.Fprintln(os.Stderr, "thread 'main' panicked", err)
		return 101
	case sawRefused && fault != WrongExit:
		return exitSawRefused
	}
	return exitAllGood
}

func programWith(t *testing.T, fault Fault) Program {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Program{Path: path, Environment: []string{actAsCheck + "=" + string(fault)}}
}

func settings(nDocuments int) Settings {
	return Settings{NDocuments: nDocuments, Seed: 1, Stall: 20 * time.Second, NDifferencesKept: 3}
}

func TestProgramThatIsRight(t *testing.T) {
	report, err := Run(t.Context(), programWith(t, NoFault), settings(30_000))
	if err != nil || report.NDifferences != 0 {
		t.Fatalf("%v\n%v", err, report.Differences)
	}
	if report.NDocuments != 30_000 || report.NAccepted+report.nRefused() != report.NDocuments || report.NRefusedEncode == 0 {
		t.Errorf("counted %+v", report)
	}
	if unreached := report.Unreached(); len(unreached) > 0 {
		t.Errorf("never reached %v", unreached)
	}
}

// TestProgramThatIsWrong sees each fault through real pipes and exit codes.
func TestProgramThatIsWrong(t *testing.T) {
	faults := append([]Fault{faultCrash, faultUsage}, Faults...)
	for _, fault := range faults {
		s := settings(5_000)
		if fault == Stuck {
			s.Stall = time.Second
		}
		report, err := Run(t.Context(), programWith(t, fault), s)
		if err == nil && report.NDifferences == 0 {
			t.Errorf("not noticed: %s", fault)
		}
	}
}

func TestCrashIsExplained(t *testing.T) {
	_, err := Run(t.Context(), programWith(t, faultCrash), settings(5_000))
	if err == nil || !strings.Contains(err.Error(), "panicked") || !strings.Contains(err.Error(), "exit status 101") {
		t.Errorf("got %v", err)
	}
}

func TestProgramThatIsMissing(t *testing.T) {
	if _, err := Run(t.Context(), Program{Path: "/no/such/program"}, settings(100)); err == nil {
		t.Error("a missing program was not noticed")
	}
}

func TestSelfTest(t *testing.T) {
	if err := SelfTest(t.Context(), 1, func(what string) { t.Log(what) }); err != nil {
		t.Error(err)
	}
}

// wrongAboutTimes is a checker that refuses one form which the reference takes.
type wrongAboutTimes struct{}

func (wrongAboutTimes) Start(ctx context.Context, t reference.Type) (*Session, error) {
	inner, err := StandIn{}.Start(ctx, t)
	if err != nil {
		return nil, err
	}
	documentsOut, documentsIn := io.Pipe()
	answersOut, answersIn := io.Pipe()
	go func() {
		documents, _ := io.ReadAll(documentsOut)
		go func() {
			inner.Documents.Write(documents)
			inner.Documents.Close()
		}()
		answers, _ := io.ReadAll(inner.Answers)
		lines := bytes.Split(answers, []byte("\n"))
		for i, document := range bytes.Split(documents, []byte("\n")) {
			if bytes.Contains(document, []byte(":60\"")) {
				lines[i] = []byte("! bad offset")
			}
		}
		answersIn.Write(bytes.Join(lines, []byte("\n")))
		answersIn.Close()
	}()
	return &Session{Documents: documentsIn, Answers: answersOut, Wait: inner.Wait}, nil
}

func TestShortenKeepsTheDifference(t *testing.T) {
	document := []byte(`[{"uuid":"u","x":[1,2,3],"metrics":[{"key":"k","time":"2016-02-03T04:05:06+01:60"}]},{"uuid":"v"}]`)
	found := &Difference{Type: reference.MetricBatches, Document: document, Want: expected(reference.MetricBatches, document)}
	Shorten(t.Context(), wrongAboutTimes{}, found, 10*time.Second)
	if found.Shorter == nil {
		t.Fatal("nothing shorter was found")
	}
	shorter := found.Shorter
	if isRefusal(shorter.Want) || string(shorter.Got) != "! bad offset" || len(shorter.Document) >= 70 {
		t.Errorf("shortened to %s", shorter)
	}
}

func TestAgree(t *testing.T) {
	for _, test := range []struct {
		want, got string
		agree     bool
	}{
		{"null", "null", true}, {"[]", "null", false}, {"[]", "[] ", false}, {"! decode: a", "! b", true},
		{"! decode: a", "! ", false}, {"! decode: a", "!b", false}, {"! decode: a", "", false}, {"! decode: a", "null", false}, {"null", "! a", false},
	} {
		if agree([]byte(test.want), []byte(test.got)) != test.agree {
			t.Errorf("want %q, got %q: not %t", test.want, test.got, test.agree)
		}
	}
}

func TestReportNamesWhatWasNotReached(t *testing.T) {
	report := newReport()
	var points generate.Points
	points.Add(generate.TimeComma)
	points.Add(generate.TimeBad)
	report.count(points, []byte("null"))
	for _, point := range report.Unreached() {
		if point == generate.TimeComma {
			t.Error("an accepted document reached it")
		}
	}
	if report.points[generate.TimeBad].nReached != 0 || report.points[generate.TimeBad].nSeen != 1 {
		t.Error("an accepted document does not reach a point that asks for a refusal")
	}
}
