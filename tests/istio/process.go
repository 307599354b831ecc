package main

import (
	"fmt"
	"log"
	"os"

	"istio.io/istio/pkg/test"
)

// process stands for the test that Istio's fake expects: what would fail the test ends the process, and with it goes what a
// test would clean up.
type process struct{}

var _ test.Failer = process{}

func (process) Fail()                             { log.Fatal("failed") }
func (process) FailNow()                          { log.Fatal("failed") }
func (process) Fatal(args ...any)                 { log.Fatal(args...) }
func (process) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
func (process) Log(args ...any)                   { log.Print(args...) }
func (process) Logf(format string, args ...any)   { log.Printf(format, args...) }
func (process) Helper()                           {}
func (process) Cleanup(func())                    {}
func (process) Skip(args ...any)                  { log.Fatal(append([]any{"skipped: "}, args...)...) }

func (process) TempDir() string {
	folder, err := os.MkdirTemp("", "istio-discovery")
	if err != nil {
		log.Fatal(fmt.Errorf("no temporary folder: %w", err))
	}
	return folder
}
