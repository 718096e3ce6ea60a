package main

import "testing"

// TestCatalogue holds that each measurement has one name, and that ratios are of
// what there is, in one unit.
func TestCatalogue(t *testing.T) {
	seen := make(map[string]bool)
	for _, m := range catalogue() {
		if seen[m.name] {
			t.Errorf("there are two measurements %q", m.name)
		}
		seen[m.name] = true
	}
	for _, c := range claims() {
		of := measurementNamed(c.of)
		if of == nil {
			t.Fatalf("%v: there is no measurement %q", c, c.of)
		}
		for _, name := range c.over {
			if over := measurementNamed(name); over == nil || over.unit != of.unit {
				t.Errorf("%v: %q is no measurement in %s", c, name, of.unit)
			}
		}
	}
}
