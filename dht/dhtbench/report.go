package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// figure is a line of the table: the same measured of both nodes.
type figure struct {
	result       string // its name in the file of results
	name, unit   string
	ours, theirs float64
}

// report prints the table and keeps the results, if they were asked for.
func (p plan) report(figures []figure) error {
	if err := table(os.Stdout, figures); err != nil {
		return err
	}
	if p.results == "" {
		return nil
	}
	f, err := os.OpenFile(p.results, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	if err := results(f, figures); err != nil {
		_ = f.Close() // the first error tells more
		return fmt.Errorf("results: %w", err)
	}
	return f.Close()
}

func table(out io.Writer, figures []figure) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tours\tdhtnode\t\t")
	for _, f := range figures {
		format := "%s\t%.1f\t%.1f\t%s\t\n"
		switch f.unit {
		case "ms":
			format = "%s\t%.2f\t%.2f\t%s\t\n"
		case "1/s", "values":
			format = "%s\t%.0f\t%.0f\t%s\t\n"
		}
		fmt.Fprintf(w, format, f.name, f.ours, f.theirs, f.unit)
	}
	return w.Flush()
}

// results writes the figures in the Go benchmark format (https://go.dev/design/14313-benchmark-format).
func results(out io.Writer, figures []figure) error {
	for _, f := range figures {
		_, err := fmt.Fprintf(out, "BenchmarkDHT/%s/node=rendezvous 1 %.6g %s\nBenchmarkDHT/%s/node=dhtnode 1 %.6g %s\n",
			f.result, f.ours, f.unit, f.result, f.theirs, f.unit)
		if err != nil {
			return err
		}
	}
	return nil
}
