// Package transport has net/http make its requests through wflo:
//
//	client := http.Client{Transport: transport.Transport{}}
//
// It makes a component larger by some megabytes; package fetch does not.
package transport

import (
	"bytes"
	"io"
	"net/http"
	"sort"
	"strconv"

	"github.com/wflo-ai/wflo/guest-sdk/go/fetch"
)

// Transport is an [http.RoundTripper]: granted, judged and journaled as any request of the step.
type Transport struct{}

// RoundTrip sends a request, and gives the answer in whole.
func (Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		var err error
		body, err = io.ReadAll(request.Body)
		if err = errors(err, request.Body.Close()); err != nil {
			return nil, err
		}
	}
	sent := fetch.Request{Method: request.Method, URL: request.URL.String(), Body: body, Stay: true}
	// A step that is played again must send the same.
	names := make([]string, 0, len(request.Header))
	for name := range request.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, value := range request.Header[name] {
			sent.Headers = append(sent.Headers, fetch.Header{Name: name, Value: value})
		}
	}
	answer, err := sent.Send()
	if err != nil {
		return nil, err
	}
	response := &http.Response{
		Status:        strconv.Itoa(answer.Status) + " " + http.StatusText(answer.Status),
		StatusCode:    answer.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{},
		Body:          io.NopCloser(bytes.NewReader(answer.Body)),
		ContentLength: int64(len(answer.Body)),
		Request:       request,
	}
	for _, header := range answer.Headers {
		response.Header.Add(header.Name, header.Value)
	}
	return response, nil
}

// errors gives the first that there is.
func errors(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}
