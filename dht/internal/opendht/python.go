package opendht

import (
	"context"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
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
	own, err := FreePort()
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
	N      int      `json:"n"`
	OK     bool     `json:"ok"`
	Values []string `json:"values"`
	ID     string   `json:"id"`
	Micros []int    `json:"micros"`
	Time   float64  `json:"time"`
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

// BenchPut puts count values of size bytes each at different keys, with at most parallel under way, and returns how
// long each took and all together. The keys are SHA1 of name and number.
func (r *Runner) BenchPut(ctx context.Context, name string, count, size, parallel int) (each []time.Duration, all time.Duration, err error) {
	return r.bench(ctx, map[string]any{"do": "benchput", "name": name, "count": count, "size": size, "parallel": parallel})
}

// BenchGet gets the values that BenchPut put under the same name.
func (r *Runner) BenchGet(ctx context.Context, name string, count, parallel int) (each []time.Duration, all time.Duration, err error) {
	return r.bench(ctx, map[string]any{"do": "benchget", "name": name, "count": count, "parallel": parallel})
}

func (r *Runner) bench(ctx context.Context, request map[string]any) ([]time.Duration, time.Duration, error) {
	a, err := r.call(ctx, request)
	if err != nil {
		return nil, 0, err
	}
	each := make([]time.Duration, len(a.Micros))
	for i, us := range a.Micros {
		each[i] = time.Duration(us) * time.Microsecond
	}
	return each, time.Duration(a.Time * float64(time.Second)), nil
}
