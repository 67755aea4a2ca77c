// Package deliver posts batches to a running collector, cuts its power now and
// then, and counts at the end: each batch recorded exactly once, byte for byte.
package deliver

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/juju/romulus/wireformat/metrics"
)

// id is the identity of a batch: the exact strings of its model and its own uuid.
type id struct{ model, batch string }

func idOf(batch *metrics.MetricBatch) id { return id{batch.ModelUUID, batch.UUID} }

// nModels is how many models take part: enough that every request mixes them.
const nModels = 17

// batchAt makes the batch of an index. The same seed and index give the same
// batch, so none has to be kept to be sent again or to be compared at the end.
func batchAt(seed uint64, index int) metrics.MetricBatch {
	random := rand.New(rand.NewPCG(seed, uint64(index)))
	model := random.IntN(nModels)
	recorded := time.UnixMilli(1_700_000_000_000 + random.Int64N(30_000_000_000)).UTC()
	if random.IntN(10) == 0 {
		recorded = recorded.In(time.FixedZone("", (random.IntN(47)-23)*1_800))
	}
	batch := metrics.MetricBatch{
		UUID:           batchID(random, index),
		ModelUUID:      modelID(seed, model),
		ModelName:      pick(random, "bob/production", "alice/staging", "controller", "bob/<test> & \"quotes\"", "日本/モデル", ""),
		UnitName:       fmt.Sprintf("%s/%d", pick(random, "storage", "api", "worker-é", "a&b"), random.IntN(5)),
		CharmUrl:       pick(random, "ch:amd64/jammy/storage-42", "cs:~owner/trusty/api-7", "local:worker-0"),
		Created:        recorded,
		Metrics:        someMetrics(random, recorded),
		Credentials:    someCredentials(random),
		SLACredentials: someCredentials(random),
	}
	if index%40 == 39 {
		// The same uuid under another model is another batch.
		before := batchAt(seed, index-1)
		batch.UUID, batch.ModelUUID = before.UUID, modelID(seed, nModels)
	}
	if random.IntN(20) == 0 {
		// A batch about the model as a whole names neither a unit nor a charm.
		batch.UnitName, batch.CharmUrl = "", ""
	}
	return batch
}

func modelID(seed uint64, model int) string {
	if model == 0 {
		return "not-a-uuid <model> & \u2028 😀"
	}
	return randomUUID(rand.New(rand.NewPCG(seed^0x6d6f64656c, uint64(model))))
}

// batchID is unique within a run: it is random, or the index is in it.
func batchID(random *rand.Rand, index int) string {
	uuid := randomUUID(random)
	switch random.IntN(50) {
	case 0:
		return strings.ToUpper(uuid)
	case 1:
		// JEM counted; so does this, and it collides with nothing else.
		return fmt.Sprint(index)
	case 2:
		return fmt.Sprintf("<id>&'%d' \u2029 é😀\x7f", index)
	default:
		return uuid
	}
}

func someMetrics(random *rand.Rand, recorded time.Time) []metrics.Metric {
	some := make([]metrics.Metric, 0, 3)
	for range random.IntN(4) {
		metric := metrics.Metric{
			Key:   pick(random, "requests", "stored-gib", "juju-units", "größe", "a<b"),
			Value: someValue(random),
			Time:  recorded.Add(-time.Duration(random.IntN(300_000)) * time.Millisecond),
		}
		for range random.IntN(3) {
			if metric.Labels == nil {
				metric.Labels = map[string]string{}
			}
			metric.Labels[pick(random, "zone", "tier", "<html>", "日本", "")] = pick(random, "eu-west", "gold", "a & b", "\u2028", "\t\b\f", "")
		}
		some = append(some, metric)
	}
	return some
}

// someValue is a value that counts, in the spellings that Juju lets through.
func someValue(random *rand.Rand) string {
	switch random.IntN(20) {
	case 0:
		return pick(random, "0", "-0", "010", "+1", ".5", "5.", "1e5", "1E+5", "1e-10", "0x1p4", "1_000", "123456789012345678901234567890")
	case 1, 2, 3:
		return fmt.Sprintf("%d.%03d", random.IntN(1_000), random.IntN(1_000))
	default:
		return fmt.Sprint(random.IntN(100_000))
	}
}

func someCredentials(random *rand.Rand) []byte {
	switch random.IntN(4) {
	case 0:
		return nil
	case 1:
		return []byte{}
	default:
		some := make([]byte, 1+random.IntN(120))
		for i := range some {
			some[i] = byte(random.Uint32())
		}
		return some
	}
}

func randomUUID(random *rand.Rand) string {
	high, low := random.Uint64(), random.Uint64()
	high = high&^0xf000 | 0x4000
	low = low&^(0xc0<<56) | 0x80<<56
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", high>>32, high>>16&0xffff, high&0xffff, low>>48, low&0xffffffffffff)
}

func pick(random *rand.Rand, choices ...string) string { return choices[random.IntN(len(choices))] }
