// Package fetch makes requests over HTTP, to the hosts that workflow.toml grants.
//
// Package fetch/transport is the same for clients of net/http.
package fetch

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/wflo-ai/wflo/guest-sdk/go"
	"github.com/wflo-ai/wflo/guest-sdk/go/artifact"
	save "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_artifact_http"
	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wflo_http_client"
	witTypes "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/types"
)

const (
	// redirects is how many are followed: of GET and HEAD alone.
	redirects = 5
	// shown is the most of a body that an error shows.
	shown = 500
)

// Header is a name and a value.
type Header struct{ Name, Value string }

// Request is a request, in whole.
type Request struct {
	// Method is GET where it is empty.
	Method string
	URL    string
	// Headers are sent in their order, a name as often as it has values.
	Headers []Header
	Body    []byte
	// JSON is a body, written as JSON, where Body is nil.
	JSON any
	// FirstByteMillis is how long the server may take to begin its answer. 0: as long as the host lets it.
	FirstByteMillis uint32
	// Stay has redirects not followed.
	Stay bool
}

// Response is the answer, in whole, whatever its status.
type Response struct {
	URL    string
	Status int
	// Headers are in their order, their names in lower case.
	Headers []Header
	Body    []byte
}

// Get asks for what is at an address.
func Get(url string) (*Response, error) { return Request{URL: url}.Send() }

// Send sends the request, and waits for the answer. Every redirect is a request of its own that needs a grant; credentials are
// not sent on to another host.
func (r Request) Send() (*Response, error) {
	if err := r.ready(); err != nil {
		return nil, err
	}
	for left := redirects; ; left-- {
		response, err := r.once()
		if err != nil || left == 0 || !r.follow(response.Status, response.Headers) {
			return response, err
		}
	}
}

// Save sends the request, and keeps the body of a successful answer as an artifact of that name. The bytes go from the server
// to the artifact and not through the step. Any answer but success is a [wflo.HTTPStatus].
func (r Request) Save(name string) (artifact.Artifact, error) {
	if err := r.ready(); err != nil {
		return artifact.Artifact{}, err
	}
	for left := redirects; ; left-- {
		request := save.Request{Method: r.Method, Url: r.URL, Headers: sent(r.Headers), Body: r.Body}
		said := save.Save(request, name)
		if said.IsErr() {
			return artifact.Artifact{}, wflo.ArtifactError(said.Err())
		}
		saved := said.Ok()
		if saved.Artifact.IsSome() {
			return artifact.Read(saved.Artifact.Some())
		}
		if left == 0 || !r.follow(int(saved.Status), received(saved.Headers)) {
			return artifact.Artifact{}, status(int(saved.Status), saved.Body)
		}
	}
}

// Publish posts a value as JSON, and gives the answer of success. Publish with a grant that names the header in which the
// server takes an idempotency key: the host sets it, so that what is published again after a crash is published once.
func Publish(url string, value any) (*Response, error) {
	response, err := Request{Method: "POST", URL: url, JSON: value}.Send()
	if err != nil {
		return nil, err
	}
	return response, response.Success()
}

// Header gives the first value of a header; empty where there is none.
func (r *Response) Header(name string) string { return first(r.Headers, name) }

// Success is nil for an answer of success, else a [wflo.HTTPStatus].
func (r *Response) Success() error {
	if r.Status >= 200 && r.Status < 300 {
		return nil
	}
	return status(r.Status, r.Body)
}

// JSON reads the body of an answer of success.
func (r *Response) JSON(into any) error {
	if err := r.Success(); err != nil {
		return err
	}
	if err := json.Unmarshal(r.Body, into); err != nil {
		return &wflo.Invalid{Message: fmt.Sprintf("the answer of %s: %v", r.URL, err)}
	}
	return nil
}

// Text is the body as text.
func (r *Response) Text() string { return string(r.Body) }

// ready fills in what was left out.
func (r *Request) ready() error {
	if r.Method == "" {
		r.Method = "GET"
	}
	r.Headers = append([]Header(nil), r.Headers...)
	if r.Body != nil || r.JSON == nil {
		return nil
	}
	body, err := wflo.Marshal(r.JSON)
	if err != nil {
		return err
	}
	r.Body = body
	if first(r.Headers, "content-type") == "" {
		r.Headers = append(r.Headers, Header{"content-type", "application/json"})
	}
	return nil
}

func (r *Request) once() (*Response, error) {
	address, _, _ := strings.Cut(r.URL, "#")
	request := host.Request{
		Method:      r.Method,
		Url:         address,
		Headers:     sent(r.Headers),
		Body:        r.Body,
		FirstByteMs: witTypes.None[uint32](),
	}
	if r.FirstByteMillis != 0 {
		request.FirstByteMs = witTypes.Some(r.FirstByteMillis)
	}
	said := host.Send(request)
	if said.IsErr() {
		return nil, failed(said.Err())
	}
	it := said.Ok()
	return &Response{URL: r.URL, Status: int(it.Status), Headers: received(it.Headers), Body: it.Body}, nil
}

// follow says whether an answer sends the request elsewhere, where it is ready to go then.
func (r *Request) follow(status int, headers []Header) bool {
	location := first(headers, "location")
	moved := status == 301 || status == 302 || status == 303 || status == 307 || status == 308
	if r.Stay || !moved || location == "" || r.Method != "GET" && r.Method != "HEAD" {
		return false
	}
	from, err := url.Parse(r.URL)
	if err != nil {
		return false
	}
	to, err := from.Parse(location)
	if err != nil {
		return false
	}
	if from.Scheme != to.Scheme || !strings.EqualFold(from.Host, to.Host) {
		kept := r.Headers[:0]
		for _, header := range r.Headers {
			switch strings.ToLower(header.Name) {
			case "authorization", "cookie", "x-api-key":
			default:
				kept = append(kept, header)
			}
		}
		r.Headers = kept
	}
	r.URL = to.String()
	return true
}

func first(headers []Header, name string) string {
	for _, header := range headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return ""
}

func sent(headers []Header) []witTypes.Tuple2[string, []uint8] {
	made := make([]witTypes.Tuple2[string, []uint8], len(headers))
	for at, header := range headers {
		made[at] = witTypes.Tuple2[string, []uint8]{F0: strings.ToLower(header.Name), F1: []uint8(header.Value)}
	}
	return made
}

func received(headers []witTypes.Tuple2[string, []uint8]) []Header {
	made := make([]Header, len(headers))
	for at, header := range headers {
		made[at] = Header{header.F0, string(header.F1)}
	}
	return made
}

func status(status int, body []byte) error {
	text := strings.TrimSpace(strings.ToValidUTF8(string(body[:min(len(body), shown)]), ""))
	return &wflo.HTTPStatus{Status: status, Body: text}
}

func failed(why host.Error) error {
	switch why.Tag() {
	case host.Error_AccessDenied:
		return &wflo.AccessDenied{Message: why.AccessDenied()}
	case host.Error_Invalid:
		return &wflo.Invalid{Message: "invalid request: " + why.Invalid()}
	case host.Error_RefusedByPolicy:
		return &wflo.RefusedByPolicy{Policy: why.RefusedByPolicy()}
	case host.Error_Rejected:
		return &wflo.Rejected{Message: why.Rejected()}
	case host.Error_TooLarge:
		return &wflo.Limit{Message: why.TooLarge()}
	case host.Error_Unavailable:
		return &wflo.Unavailable{Message: "the server cannot be reached: " + why.Unavailable()}
	case host.Error_Lost:
		return &wflo.Unavailable{Message: "the server did not answer: " + why.Lost()}
	default:
		return &wflo.Other{Message: why.Other()}
	}
}
