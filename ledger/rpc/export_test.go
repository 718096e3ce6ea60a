package rpc

import (
	"maps"
	"slices"
)

// MaxItems and EntriesPerView are limits that tests go beyond.
const (
	MaxItems       = maxItems
	EntriesPerView = entriesPerView
)

// AccessTable returns the methods that have an access rule.
func AccessTable() []string { return slices.Sorted(maps.Keys(access)) }

// Methods returns the full names of the methods of every registered service.
func (s *Server) Methods() []string {
	var names []string
	for service, info := range s.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			names = append(names, "/"+service+"/"+m.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Services returns what implements the services of this package, and the health
// service.
func (s *Server) Services() []any {
	return []any{submissionService{Server: s}, queryService{Server: s}, auditService{Server: s}, s.health}
}

// ForgetRule takes a method out of the table of access rules and returns a
// function that puts it back. No server may run meanwhile.
func ForgetRule(method string) func() {
	delete(access, method)
	return func() { access[method] = true }
}
