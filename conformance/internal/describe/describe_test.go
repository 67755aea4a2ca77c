package describe

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/juju/romulus/wireformat/metrics"
)

// TestTypesAreThoseOfRomulus holds whichever romulus is in use to types.txt,
// which was generated from the real one.
func TestTypesAreThoseOfRomulus(t *testing.T) {
	committed, err := os.ReadFile("../../types.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := Types(); got != string(committed) {
		t.Errorf("types differ from types.txt; they are now:\n%s", got)
	}
}

// TestListIsComplete finds types that the package declares and Types leaves out.
func TestListIsComplete(t *testing.T) {
	var described []string
	for _, one := range types {
		described = append(described, one.Name())
	}
	slices.Sort(described)
	if declared := declaredTypes(t); !slices.Equal(described, declared) {
		t.Errorf("the package declares\n%v\nbut we describe\n%v", declared, described)
	}
}

func declaredTypes(t *testing.T) []string {
	t.Helper()
	listed, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/juju/romulus/wireformat/metrics").Output()
	if err != nil {
		t.Fatalf("find the source of the package: %v", err)
	}
	sources, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(listed)), "*.go"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no source in %s: %v", listed, err)
	}
	var names []string
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for node := range ast.Preorder(file) {
			if declared, ok := node.(*ast.TypeSpec); ok && declared.Name.IsExported() {
				names = append(names, declared.Name.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// The methods are part of the package that senders and collectors share, so the
// stand-in's must do what the real ones do.
func TestAckIgnoresEmptyIds(t *testing.T) {
	responses := metrics.EnvironmentResponses{}
	responses.Ack("", "batch")
	responses.Ack("model", "")
	if len(responses) != 0 {
		t.Errorf("got %v, want nothing acknowledged", responses)
	}
}

func TestAckKeepsOrderAndRepeats(t *testing.T) {
	responses := metrics.EnvironmentResponses{}
	responses.SetModelStatus("model", "GREEN", "kept")
	for _, batch := range []string{"b", "a", "b"} {
		responses.Ack("model", batch)
	}
	responses.Ack("other", "c")
	if got := responses["model"].AcknowledgedBatches; !slices.Equal(got, []string{"b", "a", "b"}) {
		t.Errorf("acknowledged %v", got)
	}
	if got := responses["other"].AcknowledgedBatches; !slices.Equal(got, []string{"c"}) {
		t.Errorf("acknowledged %v under the other model", got)
	}
	if got := responses["model"].ModelStatus.Info; got != "kept" {
		t.Errorf("model status became %q", got)
	}
}

func TestStatusesReplaceOnlyThemselves(t *testing.T) {
	responses := metrics.EnvironmentResponses{}
	responses.Ack("model", "batch")
	responses.SetUnitStatus("model", "app/0", "GREEN", "first")
	responses.SetUnitStatus("model", "app/1", "RED", "")
	responses.SetUnitStatus("model", "app/0", "AMBER", "second")
	responses.SetModelStatus("model", "RED", "over the limit")
	responses.SetModelStatus("model", "GREEN", "")
	got := responses["model"]
	if len(got.AcknowledgedBatches) != 1 || len(got.UnitStatuses) != 2 {
		t.Errorf("got %+v", got)
	}
	if got.UnitStatuses["app/0"] != (metrics.UnitStatus{Status: "AMBER", Info: "second"}) {
		t.Errorf("unit status is %+v", got.UnitStatuses["app/0"])
	}
	if got.ModelStatus != (metrics.ModelStatus{Status: "GREEN"}) {
		t.Errorf("model status is %+v", got.ModelStatus)
	}
}
