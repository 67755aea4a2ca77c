package differential

import (
	"context"
	"fmt"
	"time"
)

// SelfTest plants each mistake in turn, and fails when a run does not notice
// one, or complains about a checker without any. It calls told after each part.
func SelfTest(ctx context.Context, seed uint64, told func(what string)) error {
	settings := Settings{NDocuments: 5_000, Seed: seed, Stall: 30 * time.Second, NDifferencesKept: 1}
	report, err := Run(ctx, StandIn{Fault: NoFault}, settings)
	if err != nil || report.NDifferences > 0 {
		return fmt.Errorf("run without a fault: %d differences, error %v", report.NDifferences, err)
	}
	told("without a fault: no difference")
	for _, fault := range Faults {
		if fault == Stuck {
			settings.Stall = time.Second
		}
		report, err := Run(ctx, StandIn{Fault: fault}, settings)
		if err == nil && report.NDifferences == 0 {
			return fmt.Errorf("notice a planted fault: %s", fault)
		}
		if err != nil {
			told(fmt.Sprintf("%s: noticed (%d differences; %v)", fault, report.NDifferences, err))
		} else {
			told(fmt.Sprintf("%s: noticed (%d differences)", fault, report.NDifferences))
		}
	}
	return nil
}
