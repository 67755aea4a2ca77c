package differential

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/tollgate-metering/tollgate/conformance/internal/reference"
)

// Fault is a mistake planted in a StandIn, to prove that a run would notice it.
type Fault string

// The mistakes that a checker could make.
const (
	NoFault          Fault = ""
	WrongByte        Fault = "one byte of one canonical form is wrong"
	AcceptsBad       Fault = "one bad document is accepted"
	RefusesGood      Fault = "one good document is refused"
	RefusesWithout   Fault = "one bad document is refused without a reason"
	Swapped          Fault = "two answers change places"
	AnswerMissing    Fault = "one document gets no answer"
	AnswerTwice      Fault = "the last document gets two answers"
	DropsLastAnswers Fault = "the last answers are never written"
	Stuck            Fault = "nothing happens any more"
	WrongExit        Fault = "refused documents do not show in the exit code"
)

// Faults lists every mistake that can be planted.
var Faults = []Fault{WrongByte, AcceptsBad, RefusesGood, RefusesWithout, Swapped, AnswerMissing, AnswerTwice, DropsLastAnswers, Stuck, WrongExit}

// faultAfter is how many documents a stand-in answers well before it makes its mistake.
const faultAfter = 100

// StandIn is a checker inside this process that answers as the reference does,
// but for its fault. Its fault shows in documents of type metric-batches.
type StandIn struct{ Fault Fault }

// Start answers on two pipes.
func (s StandIn) Start(ctx context.Context, t reference.Type) (*Session, error) {
	fault := s.Fault
	if t != reference.MetricBatches {
		fault = NoFault
	}
	documentsOut, documentsIn := io.Pipe()
	answersOut, answersIn := io.Pipe()
	type result struct {
		sawRefused bool
		err        error
	}
	done := make(chan result, 1)
	go func() {
		sawRefused, err := Serve(ctx, t, documentsOut, answersIn, fault)
		answersIn.CloseWithError(err)
		documentsOut.CloseWithError(err)
		done <- result{sawRefused && fault != WrongExit, err}
	}()
	context.AfterFunc(ctx, func() {
		documentsOut.CloseWithError(ctx.Err())
		answersIn.CloseWithError(ctx.Err())
	})
	wait := func() (bool, error) {
		select {
		case end := <-done:
			return end.sawRefused, end.err
		case <-time.After(5 * time.Second):
			return false, errors.New("wait for the stand-in to end")
		}
	}
	return &Session{Documents: documentsIn, Answers: answersOut, Wait: wait}, nil
}

// Serve answers documents as `tollgate check --lines --canonical` does, with a
// fault planted after some of them. It ends with its input.
func Serve(ctx context.Context, t reference.Type, documents io.Reader, answers io.Writer, fault Fault) (sawRefused bool, err error) {
	reader := bufio.NewReader(documents)
	writer := bufio.NewWriterSize(answers, 1<<15)
	plant := planter{fault: fault}
	for index := 0; ; index++ {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return sawRefused, err
		}
		answer := expected(t, bytes.TrimSuffix(line, []byte("\n")))
		sawRefused = sawRefused || isRefusal(answer)
		if index >= faultAfter && fault == Stuck {
			<-ctx.Done()
			return sawRefused, ctx.Err()
		}
		if index >= faultAfter {
			answer = plant.apply(answer)
		}
		if answer != nil {
			writer.Write(append(answer, '\n'))
		}
	}
	switch fault {
	case AnswerTwice:
		writer.WriteString("null\n")
	case DropsLastAnswers:
		return sawRefused, nil
	}
	return sawRefused, writer.Flush()
}

// planter makes its mistake once, at the first answer that it can be made to.
type planter struct {
	fault  Fault
	isDone bool
	held   []byte
}

// apply gives the answer to write, or nil for none.
func (p *planter) apply(answer []byte) []byte {
	if p.isDone {
		return answer
	}
	wrong := answer
	switch p.fault {
	case WrongByte:
		if !isRefusal(answer) && len(answer) > 10 {
			wrong = bytes.Clone(answer)
			wrong[len(wrong)-3] ^= 1
			p.isDone = true
		}
	case AcceptsBad:
		if isRefusal(answer) {
			wrong, p.isDone = []byte("null"), true
		}
	case RefusesGood:
		if !isRefusal(answer) {
			wrong, p.isDone = []byte(refused+"it looked odd"), true
		}
	case RefusesWithout:
		if isRefusal(answer) {
			wrong, p.isDone = []byte(refused), true
		}
	case AnswerMissing:
		wrong, p.isDone = nil, true
	case Swapped:
		switch {
		case isRefusal(answer):
		case p.held == nil:
			p.held, wrong = bytes.Clone(answer), nil
		case !bytes.Equal(p.held, answer):
			wrong, p.isDone = append(append(bytes.Clone(answer), '\n'), p.held...), true
		}
	}
	return wrong
}
