package vectors

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// inputBytesMax is how long an input may be to be shown as text beside its base64.
const inputBytesMax = 2000

// record is one line of vectors.jsonl.
type record struct {
	Name  string         `json:"name"`
	Rule  string         `json:"rule"`
	Type  reference.Type `json:"type"`
	Input *string        `json:"input,omitempty"`
	// InputBase64 is the input; Input is there for readers.
	InputBase64 string          `json:"input_base64"`
	Canonical   *string         `json:"canonical,omitempty"`
	Error       reference.Stage `json:"error,omitempty"`
	Message     string          `json:"message,omitempty"`
}

// Files gives the content of every golden file by its path below the golden folder.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, document := range examples() {
		encoded, err := json.Marshal(document)
		if err != nil {
			return nil, fmt.Errorf("encode example %s: %w", name, err)
		}
		files[filepath.Join("examples", name+".json")] = encoded
	}
	var err error
	if files["vectors.jsonl"], err = vectorLines(); err != nil {
		return nil, err
	}
	if files["strings.jsonl"], err = stringLines(); err != nil {
		return nil, err
	}
	return files, nil
}

// Write writes every golden file below folder, which is made when it is missing.
func Write(folder string) error {
	files, err := Files()
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o666); err != nil {
			return err
		}
	}
	return nil
}

func vectorLines() ([]byte, error) {
	var lines bytes.Buffer
	for _, vector := range All() {
		if err := appendLine(&lines, recordOf(vector)); err != nil {
			return nil, fmt.Errorf("write vector %s: %w", vector.Name, err)
		}
	}
	return lines.Bytes(), nil
}

func recordOf(vector Vector) record {
	line := record{
		Name:        vector.Name,
		Rule:        vector.Rule,
		Type:        vector.Type,
		InputBase64: base64.StdEncoding.EncodeToString(vector.Input),
	}
	if utf8.Valid(vector.Input) && len(vector.Input) <= inputBytesMax {
		text := string(vector.Input)
		line.Input = &text
	}
	canonical, err := reference.Canonical(vector.Type, vector.Input)
	var refusal *reference.Refusal
	if errors.As(err, &refusal) {
		line.Error, line.Message = refusal.Stage, refusal.Err.Error()
		return line
	}
	text := string(canonical)
	line.Canonical = &text
	return line
}

// appendLine writes value as one line, without HTML escapes to keep it readable.
func appendLine(lines *bytes.Buffer, value any) error {
	encoder := json.NewEncoder(lines)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
