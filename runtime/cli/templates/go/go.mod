module steps

go 1.24

require github.com/wflo-ai/wflo/guest-sdk/go v0.1.0
{{sdk}}