//go:build wasm

package wflo

func init() { installLog() }
