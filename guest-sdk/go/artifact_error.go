package wflo

import "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_artifact_types"

// ArtifactError is the error that the host gives about an artifact, for the packages of this module.
func ArtifactError(why wflo_artifact_types.Error) error {
	switch why.Tag() {
	case wflo_artifact_types.Error_AccessDenied:
		return &AccessDenied{Message: why.AccessDenied()}
	case wflo_artifact_types.Error_Unknown:
		return &Unknown{Message: why.Unknown()}
	case wflo_artifact_types.Error_Limit:
		return &Limit{Message: why.Limit()}
	case wflo_artifact_types.Error_Invalid:
		return &Invalid{Message: why.Invalid()}
	case wflo_artifact_types.Error_RefusedByPolicy:
		return &RefusedByPolicy{Policy: why.RefusedByPolicy()}
	case wflo_artifact_types.Error_Rejected:
		return &Rejected{Message: why.Rejected()}
	case wflo_artifact_types.Error_Upstream:
		return &Unavailable{Message: why.Upstream()}
	case wflo_artifact_types.Error_Unavailable:
		return &Unavailable{Message: why.Unavailable()}
	default:
		return &Other{Message: why.Other()}
	}
}
