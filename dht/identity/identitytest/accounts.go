// Package identitytest makes accounts of the Jami network for tests.
package identitytest

import (
	"errors"
	"sync"
	"time"

	"rendezvous/dht/identity"
)

// Accounts returns n accounts, a day old, to whoever calls what it returns. They are made at the
// first call, side by side: even their keys, of 2048 bits, take a while. It panics if there can be none.
func Accounts(n int) func() []*identity.Account {
	return sync.OnceValue(func() []*identity.Account {
		accounts, failed := make([]*identity.Account, n), make([]error, n)
		var making sync.WaitGroup
		for i := range n {
			making.Go(func() {
				accounts[i], failed[i] = identity.NewAccountBits(time.Now().Add(-24*time.Hour), 2048)
			})
		}
		making.Wait()
		if err := errors.Join(failed...); err != nil {
			panic(err)
		}
		return accounts
	})
}
