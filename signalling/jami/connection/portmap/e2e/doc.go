// Package e2e proves that a port is forwarded by miniupnpd, a router that nobody here wrote, which
// speaks NAT-PMP or UPnP.
package e2e
