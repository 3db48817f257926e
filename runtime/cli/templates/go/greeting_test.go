package main

import "testing"

func TestANameIsGreeted(t *testing.T) {
	if said := greeting(" Ada "); said != "Hello, Ada!" {
		t.Errorf("said %q", said)
	}
}
