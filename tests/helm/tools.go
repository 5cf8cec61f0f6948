//go:build tools

// Names the program that the tests start, so that go.mod keeps what it needs.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
