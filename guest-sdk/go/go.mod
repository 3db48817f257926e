module github.com/wflo-ai/wflo/guest-sdk/go

go 1.24
