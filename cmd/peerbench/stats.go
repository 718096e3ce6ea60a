package main

import "slices"

// median returns the middle of the values, between the two in the middle if
// their number is even, and 0 of none. It does not change the slice.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// pairwise returns, round by round, what one thing measured over what others
// did together. Only rounds that all of them have count; where the others are 0,
// so is the ratio.
func pairwise(of []float64, over ...[]float64) []float64 {
	rounds := len(of)
	for _, other := range over {
		rounds = min(rounds, len(other))
	}
	ratios := make([]float64, rounds)
	for i := range ratios {
		sum := 0.0
		for _, other := range over {
			sum += other[i]
		}
		if sum != 0 {
			ratios[i] = of[i] / sum
		}
	}
	return ratios
}
