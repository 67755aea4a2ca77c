package interop

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"gopkg.in/macaroon.v2"
)

const (
	model = "deadbeef-0bad-400d-8000-4b1d0d06f00d"
	charm = "ch:amd64/jammy/metered-7"
)

// terms are what both sides write into credentials here.
var terms = []string{
	"declared environment " + model,
	"declared charm ch:metered-1",
	"declared service metered",
	"declared plan acme/gold",
	"declared user bob",
	"time-before 2999-01-01T00:00:00Z",
}

// oursInGo has Go verify what the program mints, in both versions.
func oursInGo(ctx context.Context, p *program) error {
	for _, format := range []string{"v1", "v2"} {
		minted, err := p.mint(ctx, "--model", model, "--charm", "ch:metered-1", "--service", "metered", "--plan", "acme/gold",
			"--user", "bob", "--expires", "2999-01-01T00:00:00Z", "--format", format)
		if err != nil {
			return err
		}
		var credential macaroon.Macaroon
		if err := json.Unmarshal([]byte(minted), &credential); err != nil {
			return fmt.Errorf("read %s: %w", minted, err)
		}
		var checked []string
		check := func(caveat string) error {
			checked = append(checked, caveat)
			return nil
		}
		if err := credential.Verify(p.rootKey(credential.Id()), check, nil); err != nil {
			return fmt.Errorf("verify %s: %w", minted, err)
		}
		if fmt.Sprint(checked) != fmt.Sprint(terms) {
			return fmt.Errorf("find the terms: %q, want %q", checked, terms)
		}
		if err := credential.Verify([]byte("another key"), func(string) error { return nil }, nil); err == nil {
			return errors.New("have another key refused")
		}
		// What Go writes of it, and adds to it, the program takes again.
		if err := forms(ctx, p, &credential, true); err != nil {
			return err
		}
		for caveat, wanted := range map[string]bool{
			"time-before 2998-01-01T00:00:00Z": true,
			"time-before 2000-01-01T00:00:00Z": false,
			"declared environment " + model:    true,
			"declared environment other":       false,
			"declared user eve":                false,
			"is-member staff":                  false,
		} {
			narrowed := credential.Clone()
			if err := narrowed.AddFirstPartyCaveat([]byte(caveat)); err != nil {
				return err
			}
			if err := forms(ctx, p, narrowed, wanted); err != nil {
				return fmt.Errorf("add %q: %w", caveat, err)
			}
		}
		discharged := credential.Clone()
		if err := discharged.AddThirdPartyCaveat([]byte("root key"), []byte("is it you?"), "elsewhere"); err != nil {
			return err
		}
		if err := forms(ctx, p, discharged, false); err != nil {
			return err
		}
	}
	return nil
}

// theirsHere has the program verify what Go makes with the same key.
func theirsHere(ctx context.Context, p *program) error {
	for _, version := range []macaroon.Version{macaroon.V1, macaroon.V2} {
		identifier := fmt.Appendf(nil, "tollgate 1 go 000102030405060708090a0b0c0d0e0f %d", len(terms))
		for rootKey, wanted := range map[string]bool{string(p.rootKey(identifier)): true, "another key": false} {
			credential, err := macaroon.New([]byte(rootKey), identifier, "tollgate", version)
			if err != nil {
				return err
			}
			for _, term := range terms {
				if err := credential.AddFirstPartyCaveat([]byte(term)); err != nil {
					return err
				}
			}
			if err := forms(ctx, p, credential, wanted); err != nil {
				return fmt.Errorf("take version %d: %w", version, err)
			}
		}
	}
	return nil
}

// forms writes a macaroon in each form that Go has, and wants the program's
// verdict on each.
func forms(ctx context.Context, p *program, credential *macaroon.Macaroon, wanted bool) error {
	object, err := json.Marshal(credential)
	if err != nil {
		return err
	}
	list, err := json.Marshal(macaroon.Slice{credential})
	if err != nil {
		return err
	}
	binary, err := credential.MarshalBinary()
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(binary)
	for _, form := range []string{string(object), string(object) + "\n", string(list), `"` + text + `"`} {
		taken, printed, err := p.inspect(ctx, []byte(form), model, "metered/0", charm)
		if err != nil {
			return err
		}
		if taken != wanted {
			return fmt.Errorf("have the right verdict on %s: taken is %v, want %v\n%s", form, taken, wanted, printed)
		}
	}
	return nil
}
