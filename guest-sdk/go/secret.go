package wflo

import host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_secret_secrets"

// Secret gives what stands for a secret. Written in a header or the body of a request, the host puts the secret in its place
// on the way out, for the hosts that the deployment has bound it to; anywhere else it is refused. It may be printed: it is
// of no use to anybody.
func Secret(label string) (string, error) {
	said := host.Placeholder(label)
	if said.IsOk() {
		return said.Ok(), nil
	}
	switch why := said.Err(); why.Tag() {
	case host.Error_AccessDenied:
		return "", &AccessDenied{Message: why.AccessDenied()}
	case host.Error_Unknown:
		return "", &Unknown{Message: why.Unknown()}
	default:
		return "", &Other{Message: why.Other()}
	}
}
