package opendht

import (
	"context"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"rendezvous/internal/freeport"
)

//go:embed runner.py
var runner string

// Runner is a node of OpenDHT's library, run from Python.
type Runner struct {
	*process
	Port int
	next int
}

// StartRunner runs a node that joins through bootstrap, host and port, unless that is empty.
func StartRunner(ctx context.Context, host string, port int) (*Runner, error) {
	own, err := freeport.One()
	if err != nil {
		return nil, err
	}
	p, err := start("/usr/bin/python3", "-u", "-c", runner, fmt.Sprint(own), host, fmt.Sprint(port))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if _, err := p.Expect(ctx, 0, `"ready"`); err != nil {
		p.Kill()
		return nil, err
	}
	return &Runner{process: p, Port: own}, nil
}

type answer struct {
	OK     bool     `json:"ok"`
	Values []string `json:"values"`
}

func (r *Runner) call(ctx context.Context, request map[string]any) (answer, error) {
	r.next++
	request["n"] = r.next
	b, err := json.Marshal(request)
	if err != nil {
		return answer{}, err
	}
	mark := r.Mark()
	if err := r.Command("%s", b); err != nil {
		return answer{}, err
	}
	m, err := r.Expect(ctx, mark, fmt.Sprintf(`^\{"n": %d, .*`, r.next))
	if err != nil {
		return answer{}, err
	}
	var a answer
	return a, json.Unmarshal([]byte(m[0]), &a)
}

// Put puts a plain value and reports whether it was acknowledged.
func (r *Runner) Put(ctx context.Context, key string, data []byte) (bool, error) {
	a, err := r.call(ctx, map[string]any{"do": "put", "key": key, "data": hex.EncodeToString(data)})
	return a.OK, err
}

// Get returns the data of the values at a key.
func (r *Runner) Get(ctx context.Context, key string) ([][]byte, error) {
	a, err := r.call(ctx, map[string]any{"do": "get", "key": key})
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, v := range a.Values {
		b, err := hex.DecodeString(v)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}
