package main

import "strings"

// greeting is what the step computes. It needs no host, so its tests need none.
func greeting(name string) string {
	return "Hello, " + strings.TrimSpace(name) + "!"
}
