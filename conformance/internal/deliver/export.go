package deliver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/juju/romulus/wireformat/metrics"
)

// checkExport reads what a stopped collector has recorded: every batch once, in
// any order, in exactly the bytes that json.Marshal gives for what was sent.
func (p Program) checkExport(ctx context.Context, ledger string, seed uint64, nBatches int) (nExported int, err error) {
	indexes := make(map[id]int, nBatches)
	for index := range nBatches {
		batch := batchAt(seed, index)
		indexes[idOf(&batch)] = index
	}
	if len(indexes) != nBatches {
		return 0, fmt.Errorf("make %d batches of their own ids: there are only %d", nBatches, len(indexes))
	}
	command := p.command(ctx, "export", ledger, "--format", "jsonl")
	log := &tail{}
	command.Stderr = log
	stdout, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := command.Start(); err != nil {
		return 0, fmt.Errorf("start the export: %w", err)
	}
	nExported, readErr := compareLines(stdout, seed, indexes)
	if readErr != nil {
		_ = command.Process.Kill()
	}
	waitErr := command.Wait()
	switch {
	case readErr != nil:
		return nExported, readErr
	case waitErr != nil:
		return nExported, fmt.Errorf("export the ledger: %w\n%s", waitErr, log)
	}
	for one, index := range indexes {
		if index >= 0 {
			return nExported, fmt.Errorf("find all batches in the export: %d of %d are lost, among them batch %q of model %q",
				nBatches-nExported, nBatches, one.batch, one.model)
		}
	}
	return nExported, nil
}

// compareLines takes each line off indexes, where -1 stands for a batch that was seen.
func compareLines(lines io.Reader, seed uint64, indexes map[id]int) (nLines int, err error) {
	reader := bufio.NewReaderSize(lines, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nLines, nil
		}
		if err != nil {
			return nLines, fmt.Errorf("read the export after %d whole lines: %w", nLines, err)
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		var batch metrics.MetricBatch
		if err := json.Unmarshal(line, &batch); err != nil {
			return nLines, fmt.Errorf("decode line %d of the export, %.500q: %w", nLines+1, line, err)
		}
		index, isKnown := indexes[idOf(&batch)]
		switch {
		case !isKnown:
			return nLines, fmt.Errorf("line %d of the export is batch %q of model %q, which nobody sent", nLines+1, batch.UUID, batch.ModelUUID)
		case index < 0:
			return nLines, fmt.Errorf("batch %q of model %q is exported twice", batch.UUID, batch.ModelUUID)
		}
		indexes[idOf(&batch)] = -1
		want, err := json.Marshal(batchAt(seed, index))
		if err != nil {
			return nLines, err
		}
		if !bytes.Equal(line, want) {
			return nLines, fmt.Errorf("line %d of the export is not what was sent:\nsent     %s\nexported %s", nLines+1, want, line)
		}
		nLines++
	}
}
