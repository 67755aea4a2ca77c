package deliver

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/juju/romulus/wireformat/metrics"
)

func TestMain(m *testing.M) {
	if planted, ok := os.LookupEnv(actAsTollgate); ok {
		os.Exit(fakeMain(os.Args[1:], fault(planted)))
	}
	os.Exit(m.Run())
}

func runFake(t *testing.T, planted fault, nBatches, nKills int) (Figures, error) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := Program{Path: path, Environment: []string{actAsTollgate + "=" + string(planted)}}
	return Run(t.Context(), program, Settings{NBatches: nBatches, NKills: nKills, Seed: 5, Folder: t.TempDir()})
}

func TestCollectorThatIsRight(t *testing.T) {
	figures, err := runFake(t, noFault, 12_345, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Chunk 0 goes twice at once, chunk 10 twice in turn.
	if figures.NBatches != 12_345 || figures.NExported != 12_345 || figures.NPosts != 15 || figures.NRepeated != 2_000 || figures.NUnanswered != 0 {
		t.Errorf("figures\n%v", figures)
	}
}

func TestCollectorThatIsRightAndKilled(t *testing.T) {
	figures, err := runFake(t, noFault, 4_321, 12)
	if err != nil {
		t.Fatal(err)
	}
	if figures.NKills != 12 || figures.NKillsStarting == 0 || figures.NUnanswered == 0 || figures.NExported != 4_321 {
		t.Errorf("figures\n%v", figures)
	}
}

func TestTryLaterIsObeyed(t *testing.T) {
	figures, err := runFake(t, sometimesTryLater, 5_000, 0)
	if err != nil || figures.NTryLater == 0 {
		t.Errorf("%v\n%v", err, figures)
	}
}

func TestFaultsAreNoticed(t *testing.T) {
	for _, test := range []struct {
		planted fault
		nKills  int
		says    string
	}{
		{losesAcknowledged, 0, "lost"},
		{losesAcknowledged, 3, "lost"},
		{forgetsDuplicates, 5, "exported twice"},
		{recordsTwins, 0, "exported twice"},
		{mixesModels, 0, "lost"},
		{acknowledgesWrong, 0, "no such batch"},
		{acknowledgesForeign, 0, "no such batch"},
		{acknowledgesTwice, 0, "acknowledged twice in one answer"},
		{omitsAcknowledged, 0, "not acknowledged"},
		{answersCreated, 0, "status 201, want 200"},
		{answersText, 0, `Content-Type "text/plain"`},
		{answersNonsense, 0, "decode the answer"},
		{badStatus, 0, `has status "green"`},
		{changesBytes, 0, "not what was sent"},
		{addsLine, 0, "nobody sent"},
		{cutsExport, 0, "read the export"},
		{exportFails, 0, "export the ledger: exit status 1"},
		{diesByItself, 0, "nobody killed the collector"},
		{diesByItself, 2, "ended by itself"},
		{failsToStop, 0, "exit status 3"},
		{talksTooMuch, 0, "more than one line"},
		{neverReady, 0, `first line is "listening\n"`},
	} {
		_, err := runFake(t, test.planted, 3_000, test.nKills)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s, %d kills: got %v, want %q", test.planted, test.nKills, err, test.says)
		}
	}
}

func TestBatchesAreTheirOwnAndSurviveJSON(t *testing.T) {
	const n = 20_000
	seen := make(map[id]bool, n)
	var nNil, nEmpty, nLabels, nShared int
	uuids := make(map[string]bool, n)
	for index := range n {
		batch := batchAt(9, index)
		if seen[idOf(&batch)] {
			t.Fatalf("batch %d has the id of another", index)
		}
		seen[idOf(&batch)] = true
		if uuids[batch.UUID] {
			nShared++
		}
		uuids[batch.UUID] = true
		encoded, err := json.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		var again metrics.MetricBatch
		if err := json.Unmarshal(encoded, &again); err != nil {
			t.Fatal(err)
		}
		if twice, _ := json.Marshal(again); string(twice) != string(encoded) {
			t.Fatalf("%s became %s", encoded, twice)
		}
		switch {
		case batch.Credentials == nil:
			nNil++
		case len(batch.Credentials) == 0:
			nEmpty++
		}
		for _, metric := range batch.Metrics {
			nLabels += len(metric.Labels)
			if len(metric.Value) > 30 {
				t.Errorf("value %q is too long to count", metric.Value)
			}
		}
	}
	if nNil == 0 || nEmpty == 0 || nLabels == 0 || nShared == 0 {
		t.Errorf("not varied: %d nil and %d empty credentials, %d labels, %d shared uuids", nNil, nEmpty, nLabels, nShared)
	}
}

func TestSameSeedSameBatches(t *testing.T) {
	for index := range 100 {
		one, _ := json.Marshal(batchAt(3, index))
		same, _ := json.Marshal(batchAt(3, index))
		other, _ := json.Marshal(batchAt(4, index))
		if string(one) != string(same) || string(one) == string(other) {
			t.Errorf("batch %d: %s, %s, %s", index, one, same, other)
		}
	}
}
